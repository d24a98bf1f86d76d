// birth.ts: the first record of a session that was born here, kept for as long as the session is. What its place in the
// graph says already is not kept twice: there may be a hundred thousand of them.

import type { SessionRecord } from './journal.ts';
import type { Node } from './node.ts';

export interface BirthDetails {
  readonly input?: unknown;
  readonly parentCall?: NonNullable<SessionRecord['parentCall']>;
  readonly inline?: true;
  readonly detached?: NonNullable<SessionRecord['detached']>;
  readonly arrived?: NonNullable<SessionRecord['arrived']>;
}

export class Birth implements SessionRecord {
  readonly node: Node;
  readonly at: number;
  readonly agent: string;
  readonly input: unknown;
  private readonly details: BirthDetails | undefined;

  constructor(node: Node, agent: string, at: number, details: BirthDetails) {
    this.node = node;
    this.agent = agent;
    this.at = at;
    this.input = details.input;
    this.details = details.parentCall || details.inline || details.detached || details.arrived ? details : undefined;
  }

  get t(): 'session' {
    return 'session';
  }
  get e(): number {
    return 1;
  }
  get s(): string {
    return this.node.id;
  }
  get root(): string {
    return this.path[0]!;
  }
  get path(): readonly string[] {
    return this.node.path;
  }
  get workflow(): string {
    return this.node.workflow!;
  }
  get user(): string | undefined {
    return this.node.userId;
  }
  get conversation(): string | undefined {
    return this.node.conversationId;
  }
  get parentCall(): SessionRecord['parentCall'] {
    return this.details?.parentCall;
  }
  get inline(): true | undefined {
    return this.details?.inline;
  }
  get detached(): SessionRecord['detached'] {
    return this.details?.detached;
  }

  get arrived(): SessionRecord['arrived'] {
    return this.details?.arrived;
  }

  /** As the journal has it. */
  toJSON(): SessionRecord {
    const { t, s, e, at, root, path, agent, workflow, user, conversation, input, parentCall, inline, detached, arrived } = this;
    return {
      t,
      s,
      e,
      at,
      root,
      path,
      agent,
      workflow,
      ...(user === undefined ? {} : { user }),
      ...(conversation === undefined ? {} : { conversation }),
      ...(input === undefined ? {} : { input }),
      ...(parentCall === undefined ? {} : { parentCall }),
      ...(inline === undefined ? {} : { inline }),
      ...(detached === undefined ? {} : { detached }),
      ...(arrived === undefined ? {} : { arrived }),
    };
  }
}
