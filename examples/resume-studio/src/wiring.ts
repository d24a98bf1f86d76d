// wiring.ts: where the switches of this run live: in a file, or at a vendor. The agents do not know, and nothing else here does.

import { flagFile, flagFileControl, isVendor, type SwitchControl, type SwitchSource, type VendorName } from 'offswitch';
import { StudioError } from './documents-error.ts';
import { type LocalVendor, startLocalVendor } from './local-vendor.ts';
import { switches } from './switches.ts';
import { controlAt, missingFor, sourceAt } from './vendor-parts.ts';

export type SourceName = 'file' | VendorName;
export const sourceNames: readonly SourceName[] = ['file', 'launchdarkly', 'growthbook', 'unleash'];

export interface WiringOptions {
  readonly source: SourceName;
  /** Brings the vendor's server up on this machine. */
  readonly isLocal: boolean;
  /** The flag file of `file`. */
  readonly flags: string;
  readonly env: Readonly<Record<string, string | undefined>>;
}

export interface Wiring {
  readonly name: SourceName;
  /** A source to read from; each call makes one. */
  open(): Promise<SwitchSource>;
  /** The control, where the environment has what it takes. */
  readonly control: SwitchControl | undefined;
  /** What the environment of another process needs to reach the same switches; for a local server alone. */
  readonly local: Readonly<Record<string, string>> | undefined;
  close(): Promise<void>;
}

/** Rejects with `invalid_input` where the environment lacks something, naming all of it at once. */
export async function wire({ source, isLocal, flags, env }: WiringOptions): Promise<Wiring> {
  if (!isVendor(source)) {
    const control = flagFileControl(flags);
    const open = async (): Promise<SwitchSource> => flagFile(flags, { switches });
    return { name: source, open, control, local: undefined, close: async () => undefined };
  }
  const server: LocalVendor | undefined = isLocal ? await startLocalVendor(source) : undefined;
  const all = { ...env, ...server?.env };
  const missing = missingFor(source, all);
  if (missing.length > 0)
    throw new StudioError(
      'invalid_input',
      `--source ${source} needs ${missing.join(', ')} in the environment; or add --local, and a server is brought up on this machine`,
    );
  return {
    name: source,
    open: () => sourceAt(source, all),
    control: await controlAt(source, all),
    local: server?.env,
    close: async () => server?.close(),
  };
}
