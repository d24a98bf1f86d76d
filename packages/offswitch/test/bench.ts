// bench.ts: a folder, a flag file, a real runtime on demand, and the command without a terminal.

import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as wait } from 'node:timers/promises';
import {
  createRuntime,
  defineKillSwitches,
  flagFile,
  flagFileControl,
  folderStore,
  type Runtime,
  type RuntimeOptions,
} from 'offswitch';
import type { Io } from '../src/cli/io.ts';
import { main } from '../src/cli/main.ts';
import { folderPlace, type Place, processesUnknown } from '../src/cli/place.ts';

export const switches = defineKillSwitches({
  global: { authorized: ['on-call'] },
  features: {
    'resume-rewrite': { authorized: ['on-call', 'support-lead'] },
    'batch-scoring': { authorized: ['on-call'], unattended: true, mayDetach: true },
  },
  user: { authorized: ['support'] },
  instance: { authorized: ['on-call'] },
});

export interface Ran {
  readonly code: number;
  readonly out: string;
  readonly err: string;
  readonly asked: readonly string[];
  /** The answer of `--json`. */
  readonly json: Record<string, unknown>;
}

export class Bench {
  readonly place: string = mkdtempSync(join(tmpdir(), 'ofc-'));
  readonly folder: string = join(this.place, 'state');
  readonly file: string = join(this.place, 'switches.flagd.json');
  private readonly runtimes: Runtime[] = [];
  /** Agents loop until this is set. */
  isOver = false;
  /** The command's clock. Epoch milliseconds. */
  now: () => number = Date.now;
  /** What runs answers nothing, as a process that is frozen. */
  isFrozen = false;
  /** One more runs, which answers nothing. */
  hasFrozenBeside = false;
  /** From when what runs is told of a stop, nobody can be asked anything: as Redis, where it goes away. */
  goesAway = false;
  /** No mark of a release is taken any more. */
  releasesNothing = false;
  /** What was asked, and whom: `all` waits for who is frozen too. */
  readonly asked: string[] = [];
  /** How long the last command waited for confirmation. Milliseconds. */
  slept = 0;

  async provision(): Promise<void> {
    await flagFileControl(this.file).provision(switches, { apply: true });
  }

  async start(
    options: Partial<Pick<RuntimeOptions<'resume-rewrite' | 'batch-scoring'>, 'breakers' | 'source'>> = {},
  ): Promise<Runtime<'resume-rewrite' | 'batch-scoring'>> {
    const runtime = await createRuntime({ switches, source: flagFile(this.file), store: folderStore(this.folder), ...options });
    this.runtimes.push(runtime as Runtime);
    return runtime;
  }

  /** An agent that takes turn after turn until the test is over. */
  agentOn(runtime: Runtime<'resume-rewrite' | 'batch-scoring'>, name: 'resume-rewrite' | 'batch-scoring') {
    return runtime.agent(name, async (session) => {
      while (!this.isOver) await session.turn(() => wait(2));
      return 'over';
    });
  }

  /** A session of `batch-scoring` detached one of `resume-rewrite` and ended; that one has a sub-agent in another process. */
  async detached(userId: string) {
    const [here, there] = [await this.start(), await this.start()];
    let began = (_session: string): void => {};
    const below = new Promise<string>((resolve) => {
      began = resolve;
    });
    const helper = there.agent('helper', async (session) => {
      began(session.id);
      while (!this.isOver) await session.turn(() => wait(2));
    });
    const rewrite = here.agent('resume-rewrite', (session) =>
      session.turn((turn) =>
        turn.tool(
          'delegate',
          {},
          async () => (await helper.run(undefined, { parent: await there.accept((await session.carry()).headers) })).status,
          { delegates: true },
        ),
      ),
    );
    const scoring = here.agent('batch-scoring', (session) =>
      session.turn(async (turn) => turn.detach(rewrite, undefined, { reason: 'goes on by itself', owner: 'ann' })),
    );
    const outcome = await scoring.run(undefined, { userId });
    if (outcome.status !== 'completed') throw new Error(`batch-scoring ${outcome.status}`);
    return { here, there, detached: outcome.result, below: await below };
  }

  /** Declares the switches in the folder and leaves no process behind. */
  async visit(): Promise<void> {
    const runtime = await this.start();
    await runtime.close();
  }

  /** Environment variables of the command. */
  env: Record<string, string> = {};
  /** What the application's project has installed; nothing else is found. */
  readonly installed: Map<string, unknown> = new Map();

  async cli(args: readonly string[], answers?: readonly string[]): Promise<Ran> {
    let out = '';
    let err = '';
    const asked: string[] = [];
    const left = [...(answers ?? [])];
    this.slept = 0;
    const io: Io = {
      out: (text) => {
        out += text;
      },
      err: (text) => {
        err += text;
      },
      isInteractive: answers !== undefined,
      hasColour: false,
      env: this.env,
      user: 'tester',
      ask: async (question) => {
        asked.push(question);
        return left.shift() ?? '';
      },
      now: () => this.now(),
      sleep: (ms) => {
        this.slept += ms;
        return wait(ms);
      },
    };
    const frozen = { process: 'p-1', pid: 4, error: { code: 'timeout', message: 'no answer' } };
    const placeOf = (real: Place): Place => ({
      ...real,
      ask: async (method, params, process) => {
        this.asked.push(`${method} ${process === undefined ? 'all' : 'one'}`);
        if (this.goesAway && this.asked.some((one) => /^re(read|fresh)/.test(one))) return [processesUnknown('Redis is gone')];
        if (this.isFrozen) return [frozen];
        const answers = await real.ask(method, params, process);
        return this.hasFrozenBeside && process === undefined ? [...answers, frozen] : answers;
      },
      mark: async (key, side, ...of) => {
        if (this.releasesNothing && side === 'released') throw new Error('[store_failed] Redis is gone');
        await real.mark(key, side, ...of);
      },
      load: async (specifier) => {
        if (this.installed.has(specifier)) return this.installed.get(specifier);
        throw Object.assign(new Error(`Cannot find module '${specifier}'`), { code: 'MODULE_NOT_FOUND' });
      },
    });
    const code = await main(['--state', this.folder, ...args], io, (folder) => placeOf(folderPlace(folder)));
    return { code, out, err, asked, json: args.includes('--json') && out !== '' ? JSON.parse(out) : {} };
  }

  async close(): Promise<void> {
    this.isOver = true;
    for (const runtime of this.runtimes) await runtime.close();
    rmSync(this.place, { recursive: true, force: true });
  }
}
