// foreign.ts: sessions of other processes that ours have above them: only their places in the graph, so that every stop of
// theirs reaches ours by the path (S1, S2).

import { leftNodes } from './detached.ts';
import type { Above } from './journal.ts';
import { Node } from './node.ts';

export interface Places {
  sharedUserId(id: string): string;
  /** Its switches are watched from here on, and stops against it are learned. */
  watch(node: Node): void;
  unwatch(node: Node): void;
}

export class Foreign {
  private readonly places: Places;
  private readonly nodes = new Map<string, { readonly node: Node; uses: number }>();

  constructor(places: Places) {
    this.places = places;
  }

  /**
   * The place of the last of these sessions; each is watched until it is left as often as it was entered. One that lives in
   * this very process has two places then, its own and this: what hangs under it by a path may outlive it here, or see it made anew when
   * another process has had it.
   */
  enter({ segments, left }: Above): Node {
    let parent: Node | undefined;
    for (const segment of segments) {
      const known = this.nodes.get(segment.session);
      if (known) {
        known.uses++;
        parent = known.node;
      } else {
        const detachedFrom = parent ? undefined : leftNodes(segment.session, left);
        const node: Node = new Node({
          id: segment.session,
          ...(parent ? { parent } : {}),
          ...(detachedFrom ? { detachedFrom } : {}),
          ...(segment.workflow === undefined ? {} : { workflow: segment.workflow }),
          ...(segment.user === undefined ? {} : { userId: this.places.sharedUserId(segment.user) }),
          ...(segment.conversation === undefined ? {} : { conversationId: segment.conversation }),
        });
        this.nodes.set(node.id, { node, uses: 1 });
        this.places.watch(node);
        parent = node;
      }
    }
    return parent!;
  }

  leave({ segments }: Above): void {
    for (const { session } of segments) {
      const known = this.nodes.get(session);
      if (!known || --known.uses > 0) continue;
      this.nodes.delete(session);
      this.places.unwatch(known.node);
    }
  }
}
