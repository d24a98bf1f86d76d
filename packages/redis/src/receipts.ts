// receipts.ts: the record of each stop: one hash per receipt, in it one part per process, and joined when they are read.

import type { Receipt, ReceiptSession } from '@offswitch/runtime';
import type { Reply } from './connection/link.ts';
import type { Wire } from './connection/wire.ts';
import { pairs } from './journals.ts';

/** The oldest beyond so many are cleared away. */
const mostKept = 10_000;

export class Receipts {
  private readonly wire: Wire;
  private readonly prefix: string;
  private readonly process: string;
  private readonly writing = new Map<string, Promise<unknown>>();

  constructor(wire: Wire, prefix: string, process: string) {
    this.wire = wire;
    this.prefix = prefix;
    this.process = process;
  }

  /** One after another for each receipt, so that the last writing stands. */
  write(receipt: Receipt): Promise<void> {
    const text = JSON.stringify(receipt);
    const before = this.writing.get(receipt.id) ?? Promise.resolve();
    const done = before.catch(() => {}).then(() => this.writeNow(receipt, text));
    this.writing.set(receipt.id, done);
    const forget = (): void => {
      if (this.writing.get(receipt.id) === done) this.writing.delete(receipt.id);
    };
    done.then(forget, forget);
    return done;
  }

  /** Newest first. One that cannot be read is left out. */
  async all(): Promise<readonly Receipt[]> {
    const ids = (await this.wire.call(['ZREVRANGE', this.index(), '0', String(mostKept - 1)])) as readonly string[];
    const found: Receipt[] = [];
    for (let i = 0; i < ids.length; i += 50) {
      const some = await Promise.all(ids.slice(i, i + 50).map((id) => this.wire.call(['HGETALL', this.key(id)], 30_000)));
      for (const parts of some) {
        const joined = joinParts(partsIn(parts));
        if (joined) found.push(joined);
      }
    }
    return found.sort((a, b) => b.stop.since - a.stop.since || (a.id < b.id ? -1 : a.id > b.id ? 1 : 0));
  }

  private async writeNow(receipt: Receipt, text: string): Promise<void> {
    const timeoutMs = 2000 + text.length / 1000;
    const index = this.index();
    const [, , over] = await Promise.all([
      this.wire.call(['HSET', this.key(receipt.id), this.process, text], timeoutMs),
      this.wire.call(['ZADD', index, String(receipt.stop.since), receipt.id], timeoutMs),
      this.wire.call(['ZRANGE', index, '0', String(-mostKept - 1)], timeoutMs),
    ]);
    const old = over as readonly string[];
    if (old.length === 0) return;
    await Promise.all([
      this.wire.call(['DEL', ...old.map((id) => this.key(id))], timeoutMs),
      this.wire.call(['ZREM', index, ...old], timeoutMs),
    ]);
  }

  private index(): string {
    return `${this.prefix}:{ctl}:receipts`;
  }

  private key(id: string): string {
    return `${this.prefix}:{ctl}:receipt:${id}`;
  }
}

function partsIn(reply: Reply): Receipt[] {
  return pairs(reply).flatMap(([, text]) => {
    try {
      const value = JSON.parse(text) as Partial<Receipt> | null;
      return typeof value?.id === 'string' && Array.isArray(value.sessions) && typeof value.stop?.since === 'number'
        ? [value as Receipt]
        : [];
    } catch {
      return [];
    }
  });
}

/** A stage is reached when it is in every part; a session is as the part says that knows most of it. */
function joinParts(parts: readonly Receipt[]): Receipt | undefined {
  const [first, ...rest] = parts;
  if (!first || rest.length === 0) return first;
  const sessions = new Map<string, ReceiptSession>();
  for (const one of parts.flatMap((part) => part.sessions)) {
    const had = sessions.get(one.session);
    if (!had || had.state === 'unconfirmed') sessions.set(one.session, one);
  }
  const stages: Record<string, number> = {};
  for (const [stage, at] of Object.entries(first.stages)) {
    const all = parts.map((part) => part.stages[stage as keyof Receipt['stages']]);
    if (all.every((one) => one !== undefined)) stages[stage] = Math.max(at, ...all);
  }
  const released = parts.flatMap((part) => part.released ?? []);
  return {
    ...first,
    stages,
    sessions: [...sessions.values()],
    residue: [...new Set(parts.flatMap((part) => part.residue))],
    ...(released.length > 0 ? { released: Math.max(...released) } : {}),
  };
}
