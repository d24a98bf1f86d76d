// options.ts: the command line, read and checked once.

import { existsSync } from 'node:fs';
import { dirname, join, resolve } from 'node:path';
import { Command, InvalidArgumentError, Option } from 'commander';
import { exampleAdverts, exampleResumes } from './documents.ts';
import { type Workflow, workflows } from './planner-roles.ts';
import { type StoreName, storeNames } from './store.ts';
import { type SourceName, sourceNames } from './wiring.ts';

export interface Options {
  readonly input: string;
  readonly adverts: string;
  /** Drafts and scores. */
  readonly output: string;
  /** One line per letter sent. */
  readonly outbox: string;
  /** Under which tokens are sealed in the state: beside what is made, and not in it. */
  readonly mailSecret: string;
  /** What was started and what it came to (plan.ts). */
  readonly jobs: string;
  /** The state folder of the runtime. */
  readonly state: string;
  /** The flag file. */
  readonly flags: string;
  /** Seed of the included model. */
  readonly seed: number;
  /** At most this many documents, in order of id. */
  readonly documents: number;
  readonly workflows: readonly Workflow[];
  /** Divides the times of the included model and of the tools. */
  readonly speed: number;
  /** Orchestrators awake at once. */
  readonly concurrency: number;
  /** How long a paused tree waits in place before its memory is freed. Milliseconds. */
  readonly parkAfterMs: number | undefined;
  readonly isPlain: boolean;
  readonly isFresh: boolean;
  readonly isYes: boolean;
  readonly mode: 'fleet' | 'compare' | 'incident';
  /** Processes that the agents run in: the orchestrators in the first, sub-agents in the others. */
  readonly processes: number;
  /** Where stops, checkpoints and receipts are kept. */
  readonly store: StoreName;
  /** The state is this fleet's own, to be removed by it. In the Redis of a `REDIS_URL` it is not. */
  readonly ownsState: boolean;
  /** Where the switches are read from. */
  readonly source: SourceName;
  /** The vendor's server is brought up on this machine. */
  readonly isLocal: boolean;
  /** How the command reaches the local server: a file of variables. */
  readonly envFile: string;
  /** With `--compare`: where its table goes as well. */
  readonly outputFile: string | undefined;
}

/** Reads `argv` (without node and the program). Prints help or the fault and ends the process where there is nothing to run. */
export function readOptions(argv: readonly string[], env: Readonly<Record<string, string | undefined>>): Options {
  const program = new Command('npm start --')
    .description('A fleet of agents that works on resumes, and that you stop by flipping a flag.')
    .option('--input <folder>', 'resumes, in JSON Resume format', exampleResumes)
    .option('--adverts <folder>', 'job adverts', exampleAdverts)
    .option('--studio <folder>', 'where everything it makes goes', 'studio')
    .option('--output <folder>', 'drafts and scores (default: <studio>/output)')
    .addOption(new Option('--source <name>', 'where the switches live').choices(sourceNames).default('file'))
    .option('--local', "with a vendor's source: bring its server up on this machine, and make the flags there")
    .option('--flags <file>', 'the flag file (default: <studio>/switches.flagd.json)')
    .option('--state <folder>', 'state folder (default: $OFFSWITCH_STATE, else .offswitch)')
    .option('--seed <n>', 'seed of the included model', integer, 1)
    .option('--documents <n>', 'at most this many documents', positive, 1_000)
    .option('--workflows <names>', `some of ${workflows.join(',')}`, workflowList, workflows)
    .option('--speed <x>', 'how many times as fast as real the included model and the tools are', factor, 1)
    .option('--concurrency <n>', 'orchestrators awake at once', positive, 8)
    .addOption(
      new Option('--park-after <ms>', 'how long a paused tree waits in place before its memory is freed').argParser(positive),
    )
    .option('--processes <n>', 'run sub-agents in so many processes less one; orchestrators stay in the first', positive, 1)
    .addOption(new Option('--store <name>', 'where the processes keep their state').choices(storeNames).default('folder'))
    .option('--plain', 'plain lines, even in a terminal')
    .option(
      '--fresh',
      'start over: removes what was made, and the state with every stop in it; asks first. Stops engaged in the flag file, or at the vendor, stay until they are released. Refused where the state is in the Redis of REDIS_URL',
    )
    .option('-y, --yes', 'do not ask')
    .option('--compare', 'the same fleet twice, stopped at the same instant: wired the usual way, and governed')
    .option('--output-file <file>', 'with --compare: write the table there as well')
    .addOption(new Option('--scenario <name>', 'a self-checking run').choices(['incident']))
    .allowExcessArguments(false)
    .parse([...argv], { from: 'user' });
  const given = program.opts<{
    input: string;
    adverts: string;
    studio: string;
    output?: string;
    flags?: string;
    state?: string;
    seed: number;
    documents: number;
    workflows: readonly Workflow[];
    speed: number;
    concurrency: number;
    parkAfter?: number;
    plain?: boolean;
    fresh?: boolean;
    yes?: boolean;
    compare?: boolean;
    outputFile?: string;
    scenario?: 'incident';
    source: SourceName;
    local?: boolean;
    processes: number;
    store: StoreName;
  }>();
  if (given.local === true && given.source === 'file')
    program.error('error: --local goes with --source launchdarkly, growthbook or unleash; a file is local anyway');
  const options: Options = {
    input: resolve(given.input),
    adverts: resolve(given.adverts),
    output: resolve(given.output ?? join(given.studio, 'output')),
    outbox: resolve(given.studio, 'outbox.jsonl'),
    mailSecret: resolve(given.studio, 'mail.secret'),
    jobs: resolve(given.studio, 'jobs'),
    flags: resolve(given.flags ?? join(given.studio, 'switches.flagd.json')),
    state: resolve(given.state ?? (env.OFFSWITCH_STATE || '.offswitch')),
    seed: given.seed,
    documents: given.documents,
    workflows: given.workflows,
    speed: given.speed,
    concurrency: given.concurrency,
    parkAfterMs: given.parkAfter,
    isPlain: given.plain === true,
    isFresh: given.fresh === true,
    isYes: given.yes === true,
    processes: given.processes,
    store: given.store,
    ownsState: given.store === 'folder' || !env.REDIS_URL,
    source: given.source,
    isLocal: given.local === true,
    envFile: resolve(given.studio, `${given.source}.env`),
    mode: given.scenario ?? (given.compare === true ? 'compare' : 'fleet'),
    outputFile: given.outputFile === undefined ? undefined : resolve(given.outputFile),
  };
  if (options.isFresh && !options.ownsState)
    program.error(
      `error: --fresh empties no Redis of yours, and every stop is kept there. To start over, ${startOverBeside(options)}`,
    );
  return options;
}

/** What is made anew when a fleet starts over. What people flipped by hand in the flag file stays. */
export function madeBy({ output, outbox, jobs, state }: Options): readonly string[] {
  return [output, outbox, jobs, state];
}

/** Which stops starting over forgets. A switch stays as people set it, but at a local server, which is new each time. */
export function forgottenStops({ source, flags, isLocal }: Pick<Options, 'source' | 'flags' | 'isLocal'>): string {
  const where = source === 'file' ? `in ${flags}` : `at ${source}`;
  return `every stop in force${isLocal ? '' : ` but those engaged ${where}, which stay there until you release them (offswitch release)`}`;
}

/** Where the state is not this fleet's own. */
export function startOverBeside(options: Options): string {
  return `name an empty database in REDIS_URL (as in redis://127.0.0.1:6379/1) and new folders in --studio and --state; or empty that Redis yourself, and remove ${madeBy(options).join(', ')}`;
}

/** True once a runtime has declared its switches in the state folder: from then on a flag file that is gone was removed by somebody. */
export function hasRunBefore(options: Pick<Options, 'state'>): boolean {
  return existsSync(join(options.state, 'switches.json')) || existsSync(join(options.state, 'redis.json'));
}

/** How to name the state to the command, where it would not find it by itself. A password is nobody's to read. */
export function stateFlag(options: Pick<Options, 'state' | 'store'>, cwd: string, redisUrl: string | undefined): string {
  if (options.store === 'redis' && redisUrl) {
    const { username, password } = new URL(redisUrl);
    return ` --state ${username || password ? '"$REDIS_URL"' : redisUrl}`;
  }
  return dirname(options.state) === cwd && options.state.endsWith('.offswitch') ? '' : ` --state ${options.state}`;
}

function integer(text: string): number {
  const value = Number(text);
  if (!Number.isSafeInteger(value)) throw new InvalidArgumentError('a whole number');
  return value;
}

function positive(text: string): number {
  const value = integer(text);
  if (value < 1) throw new InvalidArgumentError('a whole number above 0');
  return value;
}

function factor(text: string): number {
  const value = Number(text);
  if (!(Number.isFinite(value) && value > 0 && value <= 10_000)) throw new InvalidArgumentError('a number above 0, up to 10000');
  return value;
}

function workflowList(text: string): readonly Workflow[] {
  const names = text.split(',').map((name) => name.trim());
  const unknown = names.find((name) => !workflows.some((workflow) => workflow === name));
  if (unknown !== undefined) throw new InvalidArgumentError(`"${unknown}" is none of ${workflows.join(', ')}`);
  return workflows.filter((workflow) => names.includes(workflow));
}
