// trusted.ts: which store this process, or this machine, knows, and whether the one that answers is it. What another system keeps at
// the same address is neither believed nor written to, and everything is held until a person has looked.

import { RuntimeError, type StoredStop } from '@offswitch/runtime';
import { Anchor, type Anchored } from './anchor.ts';
import { textOf } from './connection/wire.ts';

export interface TrustedOptions {
  /** The file in which this machine keeps what it trusts. */
  readonly anchor: string | undefined;
  readonly prefix: string;
  /** The place, for people. */
  readonly location: string;
  /** The id of the store that was joined; '' before. */
  readonly joined: () => string;
  /** Kept beside the id: a store that is lost takes no stop with it. */
  readonly stops: () => readonly StoredStop[];
  /** It is found to be another one. */
  readonly onOther: () => void;
}

export class Trusted {
  private readonly from: TrustedOptions;
  private readonly anchor: Anchor | undefined;
  private anchored: string | undefined;
  private why: string | undefined;
  private isOfOthers = false;

  constructor(options: TrustedOptions) {
    this.from = options;
    this.anchor = options.anchor === undefined ? undefined : new Anchor(options.anchor, options.prefix);
  }

  /** Why everything is held, where it is not the store that was known, or where it is not known which one that was. */
  get otherWhy(): string | undefined {
    return this.why;
  }

  /** What was read last is of a store that another system uses. */
  get isForeign(): boolean {
    return this.isOfOthers;
  }

  /** For the server to compare, which takes nothing from who knew another (lua/stops.ts). '': none was known. */
  get ownId(): string {
    return this.id ?? (this.why === undefined ? '' : 'unknown');
  }

  /** The same for who joins: what this machine knew. */
  get idToJoin(): string {
    return this.why === undefined ? (this.anchored ?? '') : 'unknown';
  }

  /** The one that this process joined, or, before that, that this machine trusts. */
  private get id(): string | undefined {
    return this.from.joined() || this.anchored;
  }

  /** What this machine keeps, if it can be read. */
  async read(): Promise<Anchored | undefined> {
    try {
      const found = await this.anchor?.read();
      this.anchored = found?.id;
      return found;
    } catch (error) {
      this.why = `${this.anchor!.path} cannot be read (${textOf(error)}), so it is not known which Redis this machine trusted: remove it and restart`;
      return undefined;
    }
  }

  /** Keeps it, unless it is another one. */
  keep(): void {
    const { id } = this;
    if (this.why === undefined && id !== undefined) this.anchor?.write(id, this.from.stops);
  }

  /** Resolves when what was kept is on disk. */
  async settle(): Promise<void> {
    await this.anchor?.settle();
  }

  /** A store has answered, and this is its id; '' where it has none, since its data are gone. */
  answered(id: string): void {
    const isOther = this.id !== undefined && id !== this.id;
    this.isOfOthers = isOther && id !== '';
    if (isOther) this.refused(id);
  }

  /** The store with this id refuses us, or is not the one that was known. */
  refused(id: string): void {
    const what = id === '' ? 'has lost its data' : 'is not the store that was known here';
    const wayOut = this.anchor ? `remove ${this.anchor.path} and restart` : 'restart';
    this.why ??= `${this.from.location} ${what}; everything is held. If it is the one you mean, ${wayOut}`;
    this.from.onOther();
  }

  /** While the address leads to another system's Redis its processes are told nothing of ours, and ours nothing of theirs. Throws `store_failed`. */
  mustBeOurs(): void {
    if (this.isOfOthers) throw new RuntimeError('store_failed', this.why!);
  }
}
