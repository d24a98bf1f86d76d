// source-harness.ts: a vendor as the contract of a source drives it, and the switches that it seeds there.

import { defineKillSwitches, type KillSwitches, type SwitchFlag, type SwitchSource } from '@offswitch/core';

/** A source with a vendor behind it. Unless it says otherwise, a method resolves once the change can be read from the source. */
export interface SourceHarness {
  /** Not opened yet: the suite opens it. Every switch exists at the vendor and is released. */
  readonly source: SwitchSource;
  engage(flag: SwitchFlag, target?: string): Promise<void>;
  release(flag: SwitchFlag, target?: string): Promise<void>;
  /** Turns a user or instance flag on for everybody. */
  turnOn(flag: SwitchFlag): Promise<void>;
  /** The vendor no longer has the flag. */
  remove(flag: SwitchFlag): Promise<void>;
  /** The flag's value becomes a string, with the word for engaged in it. */
  setWrongType(flag: SwitchFlag): Promise<void>;
  /** The vendor goes away; resolves when the source's health says so (where it can: `noticesLoss`). */
  lose(): Promise<void>;
  /** The vendor is back, with what it stores by now; resolves when the source is fresh. */
  recover(): Promise<void>;
  /** Frees the vendor's side. The suite closes the source itself. */
  close(): Promise<void>;

  /** The vendor stores a change, whatever stands between it and the source. Does not wait for the source. */
  store?(action: 'engage' | 'release', flag: SwitchFlag, target?: string): Promise<void>;
  /**
   * The vendor says nothing any more and no connection ends: only a clock of the source's own can tell. Resolves when the vendor is
   * silent, not when the source noticed; `recover` ends it.
   */
  stall?(): Promise<void>;
  /** The vendor serves what it held before any flip, at the position of then. Resolves when the source has had it. */
  serveOlder?(): Promise<void>;
  /**
   * The source gets this text in place of the vendor's data, byte for byte. Resolves when the source has had it. The next `engage`
   * serves proper data again.
   */
  feed?(text: string): Promise<void>;
  /** Every one of the targets at once, in the way in which this vendor holds many. */
  engageMany?(flag: SwitchFlag, targets: readonly string[]): Promise<void>;
  /** Another source, not opened, whose vendor takes the connection (or the file, or the client) and never answers. Closed by the suite. */
  unanswered?(): Promise<SwitchSource>;
  /** Another source, not opened, on another environment (or file, or domain), where every switch is released. Closed by the suite. */
  elsewhere?(): Promise<SwitchSource>;
  /** A flag that is no switch, of the type of its value. */
  putFlag?(key: string, flag: OtherFlag): Promise<void>;
}

/** A flag of the application that is no switch, with one target. */
export interface OtherFlag {
  /** What everybody gets. */
  readonly value: boolean | string | number | object;
  /** What the user with this targeting key gets instead. */
  readonly targeted?: { readonly targetingKey: string; readonly value: boolean | string | number | object };
}

export interface SourceContractOptions {
  /** False for a source whose vendor has no usable counter; release is then an act (S3). Default true. */
  readonly positions?: boolean;
  /** Longest time `open` may take. Milliseconds. Default 5000. */
  readonly openWithinMs?: number;
  /**
   * False for a source that cannot tell that its vendor is gone, because what it stands on does not say so: then only its stops are
   * looked at while the vendor is lost. Default true.
   */
  readonly noticesLoss?: boolean;
  /**
   * False where closing the source does not close what it reads through, as a provider of the application's own: what that leaves
   * behind is not looked at. Default true.
   */
  readonly ownsVendor?: boolean;
  /** False where reasons of other flags are the vendor's own words and not OpenFeature's. Default true. */
  readonly standardReasons?: boolean;
  /** True where every flag answers as a boolean too, on or off, whatever else it carries (Unleash). Default false. */
  readonly everyFlagIsBoolean?: boolean;
  /** Longest that a silent vendor may pass for a fresh one. Milliseconds. Default 10000. */
  readonly staleWithinMs?: number;
}

/** The switches a harness must seed: all four tiers, and one with the inverted polarity of LaunchDarkly's template. */
export const contractSwitches: KillSwitches<'resume-rewrite' | 'batch-scoring'> = defineKillSwitches({
  global: { authorized: ['on-call'] },
  features: {
    'resume-rewrite': { authorized: ['on-call'] },
    'batch-scoring': { authorized: ['on-call'], engagedWhen: false },
  },
  user: { authorized: ['support'] },
  instance: { authorized: ['on-call'] },
});
