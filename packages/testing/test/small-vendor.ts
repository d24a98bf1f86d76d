// small-vendor.ts: a vendor in memory that pushes its whole flag set as text, and can be given every fault of the contract.

import type { KillSwitches, SwitchFlag } from '@offswitch/core';
import { contractSwitches, type Fault, faultUsers } from '@offswitch/testing';

export interface SmallFlag {
  readonly engaged: boolean | string;
  readonly targets: readonly string[];
}
export interface SmallSet {
  readonly n: number;
  readonly flags: Readonly<Record<string, SmallFlag>>;
}
/** One connection as a client sees it. */
export interface SmallClient {
  readonly text: (text: string) => void;
  readonly end: () => void;
}

const heartbeatMs = 10;
const refusing = new Set<Fault>([
  'drop',
  'reset',
  'refuse',
  'half-frame',
  'unauthorized',
  'forbidden',
  'not-found',
  'rate-limited',
  'server-error',
]);

export class SmallVendor {
  set: SmallSet;
  private readonly first: SmallSet;
  private readonly clients = new Set<SmallClient>();
  private fault: Fault | undefined;
  private readonly heartbeat: NodeJS.Timeout;

  constructor(switches: KillSwitches) {
    this.set = { n: 1, flags: Object.fromEntries(switches.flags.map(({ key }) => [key, { engaged: false, targets: [] }])) };
    this.first = this.set;
    this.heartbeat = setInterval(() => this.broadcast(() => 'ping'), heartbeatMs);
  }

  /** The whole set comes at once, then each change. Throws where the fault of the moment lets nobody in. */
  connect(client: SmallClient): () => void {
    if (this.fault && refusing.has(this.fault)) throw new Error(this.fault);
    this.clients.add(client);
    setImmediate(() => this.send(client, this.serve(this.set)));
    return () => this.clients.delete(client);
  }
  change(key: string, next: (flag: SmallFlag) => SmallFlag | undefined): void {
    const flags = { ...this.set.flags };
    const flag = next(flags[key] ?? { engaged: false, targets: [] });
    delete flags[key];
    if (flag) flags[key] = flag;
    this.set = { n: this.set.n + 1, flags };
    this.broadcast(() => this.serve(this.set));
  }
  flip(action: 'engage' | 'release', { key }: SwitchFlag, ...targets: readonly string[]): void {
    const on = action === 'engage';
    this.change(key, (flag) =>
      targets.length === 0
        ? { ...flag, engaged: on }
        : { ...flag, targets: [...flag.targets.filter((one) => !targets.includes(one)), ...(on ? targets : [])] },
    );
  }
  inject(fault: Fault): void {
    this.fault = fault;
    const user = contractSwitches.user!;
    const { first, second } = faultUsers;
    if (refusing.has(fault)) this.endAll();
    else if (fault === 'change-in-gap') {
      this.endAll();
      this.flip('engage', user, first);
    } else if (fault === 'two-quick-changes') {
      this.flip('engage', user, first);
      this.flip('engage', user, second);
    } else if (fault === 'reordered') {
      const before = this.set;
      this.flip('engage', user, first, second);
      this.broadcast(() => JSON.stringify({ ...before, n: this.set.n - 1 }));
    } else if (fault === 'older-version') this.broadcast(() => JSON.stringify(this.first));
    else if (fault === 'many-targets') this.flip('engage', user, ...Array.from({ length: 100_000 }, (_, n) => `many-${n}`));
    else this.broadcast(() => this.serve(this.set));
  }
  heal(): void {
    const wasSilent = this.isSilent;
    this.fault = undefined;
    // Who was in the hole stays there.
    if (wasSilent) this.clients.clear();
    this.broadcast(() => this.serve(this.set));
  }
  feed(text: string): void {
    this.broadcast(() => text);
  }
  close(): void {
    clearInterval(this.heartbeat);
    this.clients.clear();
  }

  private get isSilent(): boolean {
    return this.fault === 'black-hole' || this.fault === 'slow';
  }
  private serve(set: SmallSet): string {
    const { key } = contractSwitches.global;
    const flags: Record<string, unknown> = { ...set.flags };
    switch (this.fault) {
      case 'truncated-json':
        return JSON.stringify(set).slice(0, 40);
      case 'wrong-shape':
        return '{"flags":null}';
      case 'empty-set':
        return JSON.stringify({ n: set.n, flags: {} });
      case 'flag-deleted':
      case 'flag-archived':
        delete flags[key];
        return JSON.stringify({ n: set.n, flags });
      case 'wrong-type':
        return JSON.stringify({ n: set.n, flags: { ...flags, [key]: { engaged: 'true', targets: [] } } });
    }
    return JSON.stringify(set);
  }
  private send(client: SmallClient, text: string): void {
    if (this.clients.has(client) && !this.isSilent) client.text(text);
  }
  private broadcast(text: () => string): void {
    for (const client of [...this.clients]) {
      const now = text();
      setImmediate(() => this.send(client, now));
    }
  }
  private endAll(): void {
    const ended = [...this.clients];
    this.clients.clear();
    for (const client of ended) client.end();
  }
}
