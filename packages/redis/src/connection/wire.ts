// wire.ts: a place to send commands to for as long as the store is open: a link, and the next one when it is lost.
//
// Nothing is sent twice from here. A command whose answer was lost rejects, and whoever sent it knows whether it may be repeated.

import { RuntimeError } from '@offswitch/runtime';
import { type FunctionName, functionName, libraryText } from '../lua/library.ts';
import { type Link, type OpenLink, type Reply, ServerRefusal } from './link.ts';

const firstWaitMs = 20;
const longestWaitMs = 1000;

export interface WireOptions {
  readonly open: OpenLink;
  readonly timeoutMs: number;
  readonly prefix: string;
  /** For people, without credentials. */
  readonly where: string;
  /** Connected, again or for the first time. */
  readonly onUp?: () => void;
  readonly onDown?: (why: string) => void;
}

export class Wire {
  private readonly options: WireOptions;
  private link: Link | undefined;
  private opening: Promise<Link> | undefined;
  private timer: NodeJS.Timeout | undefined;
  private waitMs = firstWaitMs;
  private isClosed = false;
  /** Why there is no connection, while there is none. */
  trouble: string | undefined;

  constructor(options: WireOptions) {
    this.options = options;
  }

  /**
   * Calls one of our functions in the server; loads them where it does not have them. `over`: a link of somebody else's, to be written together
   * with what goes over it next.
   */
  async fn(
    name: FunctionName,
    args: readonly (string | number)[] = [],
    timeoutMs: number = this.options.timeoutMs,
    over?: Link,
  ): Promise<Reply> {
    const { prefix } = this.options;
    const argv = ['FCALL', functionName(name), '1', `${prefix}:{ctl}:ev`, prefix, ...args.map(String)];
    const link = over ?? (await this.linked(timeoutMs));
    try {
      return await link.call(argv, timeoutMs);
    } catch (error) {
      if (!(error instanceof ServerRefusal && /function not found/i.test(error.message))) throw this.failed(error);
      try {
        await loadLibrary(link, timeoutMs);
        return await link.call(argv, timeoutMs);
      } catch (again) {
        throw this.failed(again);
      }
    }
  }

  async call(argv: readonly string[], timeoutMs: number = this.options.timeoutMs): Promise<Reply> {
    const link = await this.linked(timeoutMs);
    return link.call(argv, timeoutMs).catch((error) => {
      throw this.failed(error);
    });
  }

  /** The link there is, or the one that is there in time. */
  async linked(withinMs: number = this.options.timeoutMs): Promise<Link> {
    if (this.link && !this.link.isGone) return this.link;
    if (this.isClosed) throw new RuntimeError('closed', `the store in ${this.options.where} was closed`);
    let timer: NodeJS.Timeout | undefined;
    const late = new Promise<never>((_, reject) => {
      timer = setTimeout(() => reject(new Error(this.trouble ?? 'no connection in time')), withinMs);
    });
    try {
      return await Promise.race([this.connect(), late]);
    } catch (error) {
      throw this.failed(error);
    } finally {
      clearTimeout(timer);
    }
  }

  close(): void {
    this.isClosed = true;
    clearTimeout(this.timer);
    this.link?.destroy();
    this.link = undefined;
  }

  private connect(): Promise<Link> {
    this.opening ??= this.openOnce().finally(() => {
      this.opening = undefined;
    });
    // Also unheard: the next one who asks, or the timer, tries again.
    this.opening.catch(() => {});
    return this.opening;
  }

  private async openOnce(): Promise<Link> {
    clearTimeout(this.timer);
    try {
      const link = await this.options.open({
        connectTimeoutMs: this.options.timeoutMs,
        keepsAlive: true,
        onGone: (why) => this.lost(why),
      });
      if (this.isClosed) {
        link.destroy();
        throw new Error('the store was closed');
      }
      this.link = link;
      this.waitMs = firstWaitMs;
      this.trouble = undefined;
      this.options.onUp?.();
      return link;
    } catch (error) {
      this.lost(error);
      throw error;
    }
  }

  private lost(error: unknown): void {
    this.link = undefined;
    if (this.isClosed) return;
    this.trouble = textOf(error);
    this.options.onDown?.(this.trouble);
    clearTimeout(this.timer);
    this.timer = setTimeout(() => this.connect(), this.waitMs * (0.5 + Math.random() / 2));
    this.timer.unref();
    this.waitMs = Math.min(longestWaitMs, this.waitMs * 2);
  }

  private failed(error: unknown): Error {
    if (error instanceof ServerRefusal || RuntimeError.is(error)) return error;
    if (this.isClosed) return new RuntimeError('closed', `the store in ${this.options.where} was closed`);
    return new RuntimeError('store_failed', `${this.options.where} does not answer: ${textOf(error)}`, { cause: error });
  }
}

async function loadLibrary(link: Link, timeoutMs: number): Promise<void> {
  try {
    await link.call(['FUNCTION', 'LOAD', libraryText], timeoutMs);
  } catch (error) {
    // Another process was first. Not replaced: what it remembers would be gone (lua/shared.ts).
    if (!/already exists/i.test(textOf(error))) throw error;
  }
}

/** What the system says is often in the parts of an error that names none. */
export function textOf(error: unknown): string {
  if (error instanceof AggregateError && error.errors.length > 0) return error.errors.map(textOf).join('; ');
  return error instanceof Error ? error.message : String(error);
}
