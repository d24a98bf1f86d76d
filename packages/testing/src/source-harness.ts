// source-harness.ts: a vendor as the contract of a source drives it, and the switches that it seeds there.

import { defineKillSwitches, type KillSwitches, type SwitchFlag, type SwitchSource } from '@offswitch/core';

/** A source with a vendor behind it. Every method resolves once the change can be read from the source. */
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
  /** The vendor goes away; resolves when the source's health says so. */
  lose(): Promise<void>;
  /** The vendor is back as it was. */
  recover(): Promise<void>;
  /** Frees the vendor's side. The suite closes the source itself. */
  close(): Promise<void>;
}

export interface SourceContractOptions {
  /** False for a source whose vendor has no usable counter; release is then an act (S3). Default true. */
  readonly positions?: boolean;
  /** Longest time `open` may take. Milliseconds. Default 5000. */
  readonly openWithinMs?: number;
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
