// one-link.ts: a connection for commands that are safe to send again: made when it is needed, and once more when it was lost.

import { type Link, type OpenLink, type Reply, ServerRefusal } from '../connection/link.ts';

export class OneLink {
  private readonly open: OpenLink;
  private readonly timeoutMs: number;
  private link: Promise<Link> | undefined;

  constructor(open: OpenLink, timeoutMs: number) {
    this.open = open;
    this.timeoutMs = timeoutMs;
  }

  /** Rejects with `ServerRefusal` where the server said no; otherwise it is not known whether it did it. */
  async call(argv: readonly string[]): Promise<Reply> {
    const link = await this.linked();
    try {
      return await link.call(argv, this.timeoutMs);
    } catch (error) {
      if (error instanceof ServerRefusal || !link.isGone) throw error;
      // Idle connections are cut by servers and firewalls, and the first to notice is who uses one.
      return (await this.linked()).call(argv, this.timeoutMs);
    }
  }

  async close(): Promise<void> {
    const { link } = this;
    this.link = undefined;
    (await link?.catch(() => undefined))?.destroy();
  }

  private linked(): Promise<Link> {
    const made = this.link ?? this.renew();
    return made.then((link) => (link.isGone ? this.renew(made) : link));
  }

  /** Who comes while one is being made gets that one. */
  private renew(old?: Promise<Link>): Promise<Link> {
    if (this.link && this.link !== old) return this.link;
    const made = this.open({ connectTimeoutMs: this.timeoutMs, keepsAlive: true });
    this.link = made;
    made.catch(() => {
      if (this.link === made) this.link = undefined;
    });
    return made;
  }
}
