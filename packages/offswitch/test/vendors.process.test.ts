// vendors.process.test.ts: the `offswitch` program itself, through each vendor's own control, against that vendor's server: the real
// Unleash, the scripted LaunchDarkly and GrowthBook. The application runs here and reads through the vendor's own SDK.

import { execFile } from 'node:child_process';
import { existsSync, mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { growthBook } from '@offswitch/growthbook';
import { launchDarkly } from '@offswitch/launchdarkly';
import { startLocalGrowthBook } from '@offswitch/testing/growthbook';
import { startLocalLaunchDarkly } from '@offswitch/testing/launchdarkly';
import { startLocalUnleash, whyNoLocalUnleash } from '@offswitch/testing/unleash';
import { unleash } from '@offswitch/unleash';
import { createRuntime, folderStore, type Runtime, type SwitchSource, type VendorName, vendors } from 'offswitch';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { switches } from './bench.ts';

const bin = new URL('../bin/offswitch.js', import.meta.url).pathname;

interface Local {
  open(): SwitchSource;
  readonly env: Readonly<Record<string, string>>;
  /** The next write needs somebody's approval, as far as this server can be brought to it. */
  readonly requireApproval?: (isRequired: boolean) => void;
  close(): Promise<void>;
}

/** The environment that the table of variables makes of the options that the servers hand out. */
function envOf(vendor: VendorName, control: Readonly<Record<string, string>>): Record<string, string> {
  const env: Record<string, string> = {};
  for (const { name, option } of vendors[vendor].control) if (control[option] !== undefined) env[name] = control[option];
  return env;
}

const locals: Readonly<Record<VendorName, () => Promise<Local>>> = {
  async launchdarkly() {
    const { server, source, control, close } = await startLocalLaunchDarkly();
    return {
      open: () => launchDarkly(source),
      env: envOf('launchdarkly', control),
      requireApproval: (isRequired) => {
        if (isRequired) server.refuse('approval', 1);
      },
      close,
    };
  },
  async growthbook() {
    const { server, source, control, close } = await startLocalGrowthBook();
    return {
      open: () => growthBook({ ...source, switches }),
      env: envOf('growthbook', control),
      requireApproval: (isRequired) => {
        server.requiresApproval = isRequired;
      },
      close,
    };
  },
  async unleash() {
    const { source, control, close } = await startLocalUnleash({ revisionEveryMs: 100 });
    return { open: () => unleash(source), env: envOf('unleash', control), close };
  },
};

describe.each(Object.keys(locals) as VendorName[])('the offswitch program with switches in %s', (vendor) => {
  const why = vendor === 'unleash' ? whyNoLocalUnleash() : undefined;
  if (why !== undefined && process.env.OFFSWITCH_REQUIRE_UNLEASH === undefined) {
    test.skip(`cannot run here: ${why}`, () => undefined);
    return;
  }
  const place = mkdtempSync(join(tmpdir(), 'ofv-'));
  const state = join(place, 'state');
  let local: Local;
  let runtime: Runtime<'resume-rewrite' | 'batch-scoring'>;
  beforeAll(async () => {
    local = await locals[vendor]();
    runtime = await createRuntime({ switches, source: local.open(), store: folderStore(state) });
  }, 300_000);
  afterAll(async () => {
    await runtime.close();
    await local.close();
    rmSync(place, { recursive: true, force: true });
  });

  /** In a folder that has nothing installed: the control is then found beside the program. */
  const offswitch = (...args: readonly string[]): Promise<{ code: number; out: string; json: Record<string, unknown> }> =>
    new Promise((resolve) => {
      const env = { PATH: process.env.PATH ?? '', ...local.env };
      const child = execFile(process.execPath, [bin, '--state', state, ...args], { cwd: place, env }, (_, out, err) =>
        resolve({
          code: child.exitCode ?? -1,
          out: out + err,
          json: args.includes('--json') ? (JSON.parse(out) as Record<string, unknown>) : {},
        }),
      );
    });
  const words = (reason: string): string[] => ['--reason', reason, '--by', 'ann', '--yes', '--json'];
  const causes = (): string[] => runtime.stops().map((stop) => stop.cause);

  test('makes what is missing, once, and finds nothing wrong with it (S13)', async () => {
    expect(await offswitch('inspect')).toMatchObject({ code: 1, out: expect.stringContaining('missing') });
    expect(await offswitch('provision')).toMatchObject({ code: 0, out: expect.stringContaining('nothing was written') });
    expect((await offswitch('inspect')).code).toBe(1);
    expect((await offswitch('provision', '--apply', '--yes')).code).toBe(0);
    expect(await offswitch('provision')).toMatchObject({ code: 0, out: expect.stringContaining('nothing to create') });
    expect(await offswitch('inspect')).toMatchObject({ code: 0, out: expect.stringContaining('0 errors') });
  });
  test.each([
    [['global'], {}],
    [['feature', 'batch-scoring'], { workflow: 'batch-scoring' }],
    [['user', 'u-1'], { userId: 'u-1' }],
  ])('engages and releases %j there, each confirmed by the running process (S3, S10)', async (target, subject) => {
    await expect.poll(() => runtime.status().switches.every((one) => one.state !== 'unknown'), { timeout: 20_000 }).toBe(true);
    const engaged = await offswitch('engage', ...target, ...words('bad scores'));
    expect(engaged).toMatchObject({ code: 0, json: { confirmed: true, flip: { changed: true } } });
    await expect.poll(() => runtime.stops().some((stop) => !stop.id.includes('~')), { timeout: 20_000 }).toBe(true);
    await expect.poll(causes, { timeout: 20_000 }).toEqual(['switch']);
    expect(runtime.stops()).toMatchObject([{ subject, reason: 'bad scores', by: 'ann' }]);
    const released = await offswitch('release', ...target, ...words('mended'));
    expect(released).toMatchObject({ code: 0, json: { confirmed: true, held: [] } });
    expect(runtime.stops()).toEqual([]);
  });
  test('ends one session for good, and permits new runs of its id again', async () => {
    expect((await offswitch('engage', 'instance', 's-nobody', ...words('runaway'))).code).toBe(0);
    expect((await offswitch('inspect', '--json')).json.inspections).toContainEqual(
      expect.objectContaining({ engaged: 'targets', targets: ['s-nobody'] }),
    );
    expect((await offswitch('release', 'instance', 's-nobody', ...words('over'))).code).toBe(0);
  });
  test("tells who did what and why from the vendor's own record, newest first", async () => {
    const { json } = await offswitch('history', '--key', 'killswitch.global', '--json');
    expect(json.flips).toMatchObject([
      { action: 'release', reason: 'mended', by: 'ann' },
      { action: 'engage', reason: 'bad scores', by: 'ann' },
    ]);
  });
  test('stops as an operator where the vendor wants an approval first, and says what to do about it (S3)', async (context) => {
    if (!local.requireApproval) return context.skip();
    local.requireApproval(true);
    const ran = await offswitch('engage', 'feature', 'batch-scoring', '--reason', 'bad scores', '--yes');
    local.requireApproval(false);
    expect(ran.code).toBe(0);
    expect(ran.out).toMatch(/could not be flipped: .*(approv|review)/i);
    const made = runtime.stops().filter((stop) => stop.tier === 'feature');
    expect(made).toMatchObject([{ cause: 'operator', reason: 'bad scores' }]);
    expect((await offswitch('release', '--stop', made[0]!.id, ...words('over'))).code).toBe(0);
  });
  test('leaves no token where the state is kept', () => {
    const token = local.env[vendors[vendor].control.find((one) => one.option === 'token')!.name]!;
    expect(token.length).toBeGreaterThan(8);
    expect(existsSync(state)).toBe(true);
    for (const entry of readdirSync(state, { recursive: true, withFileTypes: true }))
      if (entry.isFile()) expect(readFileSync(join(entry.parentPath, entry.name), 'utf8')).not.toContain(token);
  });
});
