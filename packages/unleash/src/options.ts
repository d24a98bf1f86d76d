// options.ts: Unleash as a source, as its users see it: what may be set, and what they get.

import type { FlagType, Reading, Resolution, Subject, SwitchFlag, SwitchSource } from '@offswitch/core';
import type { Unleash, UnleashConfig } from 'unleash-client';

export interface UnleashCommonOptions {
  /**
   * Names the history that positions belong to (S3): server, project and environment. Default: host of the URL and the part of the
   * token before its secret (`default:development`), which outlives a rotation. Give one where several addresses lead to one Unleash.
   */
  readonly series?: string;
  /**
   * How old the data may be and still count as what Unleash holds, by our own clock. Milliseconds. Default 5000 (five polls), with
   * an application's own client two of its intervals and 5000 more. At least two polls.
   */
  readonly staleAfterMs?: number;
  /** How long `open` waits for the first answer. Milliseconds. Default 3000; a slower one becomes fresh when it is. */
  readonly openWithinMs?: number;
  /** Wall clock for `health.since`. Default `Date.now`. */
  readonly now?: () => number;
  /** Strategies of the application's own, as the client takes them. A switch whose strategy is neither known nor here is unknown. */
  readonly strategies?: NonNullable<UnleashConfig['strategies']>;
}

export interface UnleashOptions extends UnleashCommonOptions {
  /** Address of Unleash, with or without `/api`. */
  readonly url: string;
  /** A backend (client) token of one environment. A function is asked before every request, so that a rotated token needs no restart. */
  readonly token: string | (() => string | Promise<string>);
  /** What Unleash lists as the application. */
  readonly appName: string;
  /** Default: the host's name. */
  readonly instanceId?: string;
  /** Sent with every request; for proxies that want one of their own. */
  readonly headers?: Readonly<Record<string, string>>;
  /**
   * How often Unleash is asked. Milliseconds. Default 1000: the server itself makes changes visible once a second, so that asking
   * more often gains little below 250 ms. An unchanged answer is a 304 of some 2 ms.
   */
  readonly pollMs?: number;
  /** End of one request, its body included. Milliseconds. Default 5000. */
  readonly requestTimeoutMs?: number;
  /**
   * Count the application's other flags (`resolve`) at Unleash, as its own provider does. Default true. Switches are never counted.
   * Nothing is sent before the first `resolve`.
   */
  readonly metrics?: boolean;
  /** Default: the platform's. For proxies and tests. */
  readonly fetch?: typeof globalThis.fetch;
}

export interface UnleashClientOptions extends UnleashCommonOptions {
  /**
   * A client that the application already has and goes on owning: it is neither started nor destroyed here. Make its
   * `refreshInterval` 1000 to 5000; with its own default of 15000 a switch takes that long. It lists our error listener, so
   * that it no longer prints errors by itself: they are in `health.why`.
   */
  readonly client: Unleash;
}

export interface UnleashSource extends SwitchSource {
  readonly location: string;
  read(flag: SwitchFlag, subject: Subject): Reading;
  resolve(flagKey: string, type: FlagType, context: Readonly<Record<string, unknown>>): Resolution;
  refresh(): Promise<void>;
}
