// local-vendor.ts: a vendor's server on this machine, in a process of its own: the real Unleash, and the scripted LaunchDarkly and
// GrowthBook of the testing package. It ends when whoever started it ends, however that was.

import { spawn } from 'node:child_process';
import { createInterface } from 'node:readline';
import { fileURLToPath } from 'node:url';
import type { VendorName } from 'offswitch';
import { StudioError } from './documents-error.ts';

export interface LocalVendor {
  /** The variables under which source and control find it. */
  readonly env: Readonly<Record<string, string>>;
  close(): Promise<void>;
}

const program = fileURLToPath(new URL('./local-vendor-process.js', import.meta.url));

/** Rejects with `local_failed` and the server's own last words. The real Unleash takes seconds, the first time a minute. */
export async function startLocalVendor(vendor: VendorName): Promise<LocalVendor> {
  // In a group of its own: Ctrl-C in the terminal is for the fleet, which reads on while it parks.
  const child = spawn(process.execPath, [program, vendor], { stdio: ['pipe', 'pipe', 'pipe'], detached: true });
  let said = '';
  child.stderr.setEncoding('utf8').on('data', (part: string) => {
    said = (said + part).slice(-2_000);
  });
  child.stdin.on('error', () => undefined);
  const gone = new Promise<void>((resolve) => child.once('close', () => resolve()));
  const line = await new Promise<string>((resolve, reject) => {
    child.once('error', reject);
    createInterface({ input: child.stdout }).once('line', resolve);
    void gone.then(() => reject(new StudioError('local_failed', `the local ${vendor} server did not start: ${said.trim()}`)));
  });
  // The server alone must not keep a fleet that has ended.
  for (const one of [child, child.stdin, child.stdout, child.stderr] as { unref?(): void }[]) one.unref?.();
  return {
    env: JSON.parse(line) as Record<string, string>,
    async close() {
      child.ref();
      child.stdin.end();
      await gone;
    },
  };
}
