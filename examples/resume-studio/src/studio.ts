// studio.ts: opens everything a fleet needs, in the order in which faults are cheapest.

import { existsSync } from 'node:fs';
import { mkdir, rm, writeFile } from 'node:fs/promises';
import { basename, dirname, join } from 'node:path';
import { createInterface } from 'node:readline/promises';
import { createRuntime, listProcesses, type Runtime } from 'offswitch';
import { loadAdverts, loadDocuments, type ResumeDocument } from './documents.ts';
import { StudioError, writeFailed } from './documents-error.ts';
import type { Advert } from './documents-schema.ts';
import type { MailAccount } from './mail/mail-account.ts';
import { forgottenStops, hasRunBefore, madeBy, type Options, stateFlag } from './options.ts';
import type { Workflow } from './planner-roles.ts';
import { openStore } from './store.ts';
import { switches } from './switches.ts';
import { sleep } from './tools-time.ts';
import type { Wiring } from './wiring.ts';

export interface Material {
  /** What is worked on. */
  readonly documents: readonly ResumeDocument[];
  /** What tools may read: also what an earlier process was asked for and this one was not. */
  readonly library: readonly ResumeDocument[];
  readonly adverts: readonly Advert[];
  /** One sentence per skipped file. */
  readonly warnings: readonly string[];
}

export async function loadMaterial(options: Options): Promise<Material> {
  const [{ documents, warnings }, adverts] = await Promise.all([loadDocuments(options.input), loadAdverts(options.adverts)]);
  return { documents: documents.slice(0, options.documents), library: documents, adverts, warnings };
}

/** Workers of a fleet that was killed notice, and end. Milliseconds. */
const endsWithinMs = 2_000;

/** Rejects with `in_use` while another process runs on this state folder: it has the sessions. */
export async function refuseSecond(options: Options): Promise<void> {
  const deadline = Date.now() + endsWithinMs;
  let [other] = await listProcesses(options.state);
  while (other && options.processes > 1 && Date.now() < deadline) {
    await sleep(50);
    [other] = await listProcesses(options.state);
  }
  if (other)
    throw new StudioError(
      'in_use',
      `process ${other.pid} runs on ${options.state} already, and has its sessions; end it, or name other folders with --studio and --state`,
    );
}

/** Writes this much to see that there is room: a fleet of a few documents leaves about as much. Bytes. */
const probeBytes = 256 * 1024;

/**
 * Rejects with `write_failed` where an agent could not write later: found out before a model was called, and not once per letter.
 */
export async function mustBeWritable(options: Options): Promise<void> {
  const folders = new Set([options.output, options.jobs, dirname(options.outbox), dirname(options.flags), options.state]);
  for (const folder of folders) {
    const probe = join(folder, `.probe-${process.pid}`);
    try {
      await mkdir(folder, { recursive: true });
      await writeFile(probe, Buffer.alloc(probeBytes), { flag: 'wx' });
    } catch (error) {
      throw writeFailed(folder, error);
    } finally {
      await rm(probe, { force: true }).catch(() => undefined);
    }
  }
}

/**
 * The flags are made once, at the very first start. One that is missing later was removed by somebody, and to write a
 * fresh one, in which nothing is engaged, would hide that. Returns what a person should know.
 */
export async function provisionFlags(options: Options, wiring: Wiring): Promise<string | undefined> {
  // A local server is new each time, and empty. What was stopped before stays stopped: its history is another one.
  if (hasRunBefore(options) && wiring.local === undefined) {
    if (wiring.name !== 'file' || existsSync(options.flags)) return undefined;
    return `the flag file ${options.flags} is gone, and is not made anew, since that would hide who removed it; put it back. Until then what was last known holds`;
  }
  const where = wiring.name === 'file' ? options.flags : wiring.name;
  if (!wiring.control) return `the flags at ${where} are taken as they are: no management token is in the environment`;
  try {
    // In an account of yours nothing is made unasked.
    const isOurs = wiring.name === 'file' || wiring.local !== undefined || options.isYes;
    const { steps } = await wiring.control.provision(switches, { apply: isOurs });
    const made = steps.filter((step) => step.change === 'create').length;
    const refused = steps.filter((step) => step.change === 'refuse').map((step) => `\n  ${step.key}: ${step.detail}`);
    if (refused.length > 0) return `flags at ${where} that are left as they are:${refused.join('')}`;
    if (made > 0 && !isOurs)
      return `${made} flags are missing at ${where}, and what cannot be read holds: npx offswitch${stateFlag(options, process.cwd(), process.env.REDIS_URL)} provision --apply, or start with --yes`;
    return made === 0 ? undefined : `made ${made} flags in ${where}`;
  } catch (error) {
    const what = wiring.name === 'file' ? 'the flag file is' : `the flags at ${where} are`;
    return `${what} left as ${wiring.name === 'file' ? 'it is' : 'they are'}, and what cannot be read there holds: ${error instanceof Error ? error.message : String(error)}`;
  }
}

export async function openRuntime(
  options: Options,
  wiring: Wiring,
  { brokers }: Pick<MailAccount, 'brokers'>,
): Promise<Runtime<Workflow>> {
  return createRuntime({
    switches,
    source: await wiring.open(),
    store: openStore(options, process.env),
    brokers,
    ...(options.parkAfterMs === undefined ? {} : { parkAfterMs: options.parkAfterMs, holdForMs: options.parkAfterMs }),
    // A letter that is on its way may take its time: stopped meanwhile, it is known what became of it.
    effectDeadlineMs: 30_000,
    // The largest of these trees takes some eighty turns, its sub-agents' included, and costs a cent.
    breakers: { '*': { costMicros: 1_000_000, turns: 400, toolFailures: 5 } },
  });
}

/** Starts over. False when they said no. */
export async function startOver(options: Options): Promise<boolean> {
  const made = madeBy(options);
  // A typing error must not remove somebody's home: only what looks like ours goes.
  if (basename(options.state) !== '.offswitch' && existsSync(options.state) && !hasRunBefore(options))
    throw new StudioError('invalid_input', `${options.state} does not look like a state folder; remove it yourself`);
  if (dirname(options.output) !== dirname(options.outbox))
    throw new StudioError(
      'invalid_input',
      `${options.output} is not inside the studio; remove it yourself, or leave out --output`,
    );
  if (!options.isYes) {
    if (!process.stdin.isTTY) throw new StudioError('invalid_input', '--fresh asks first, and nobody is here to ask: add --yes');
    const lines = createInterface({ input: process.stdin, output: process.stdout });
    const answer = await lines.question(
      `Remove ${made.join(', ')}?\nSessions at rest end, and letters will be sent again. Forgotten is ${forgottenStops(options)}. [y/N] `,
    );
    lines.close();
    if (!/^y(es)?$/i.test(answer.trim())) return false;
  }
  for (const path of made) await rm(path, { recursive: true, force: true });
  return true;
}
