// foreign.ts: sessions of other processes that ours have above them: only their places in the graph, so that every stop of
// theirs reaches ours by the path (S1, S2).

import { Node } from './node.ts';
import type { PathSegment } from './path/segment.ts';
import type { World } from './world.ts';

export class Foreign {
  private readonly world: World;
  private readonly nodes = new Map<string, { readonly node: Node; uses: number }>();

  constructor(world: World) {
    this.world = world;
  }

  /** The place of the last of these sessions, root first; each is watched until it is left as often as it was entered. */
  enter(segments: readonly PathSegment[]): Node {
    let parent: Node | undefined;
    for (const segment of segments) {
      // What is above may live here too.
      const own = this.world.graphOf.get(segment.session)?.get(segment.session)?.node;
      const known = this.nodes.get(segment.session);
      if (own && !known) parent = own;
      else if (known) {
        known.uses++;
        parent = known.node;
      } else {
        const node: Node = new Node({
          id: segment.session,
          ...(parent ? { parent } : {}),
          ...(segment.workflow === undefined ? {} : { workflow: segment.workflow }),
          ...(segment.user === undefined ? {} : { userId: this.world.kernel.switchboard.sharedUserId(segment.user) }),
          ...(segment.conversation === undefined ? {} : { conversationId: segment.conversation }),
        });
        this.nodes.set(node.id, { node, uses: 1 });
        this.world.kernel.stops.know(node);
        this.world.admit(node);
        parent = node;
      }
    }
    return parent!;
  }

  leave(segments: readonly PathSegment[]): void {
    for (const { session } of segments) {
      const known = this.nodes.get(session);
      if (!known || --known.uses > 0) continue;
      this.nodes.delete(session);
      this.world.kernel.stops.unknow(known.node);
      this.world.kernel.switchboard.dismiss(known.node);
    }
  }
}
