// main.ts: the `offswitch` command: its words, and what its end means to a script.

import { userInfo } from 'node:os';
import { resolve as resolvePath } from 'node:path';
import type { Breaker } from '@offswitch/core';
import { parseStopKey } from '@offswitch/runtime';
import { Argument, CommanderError, Option, Command as Program } from 'commander';
import { audit, auditVerify } from './audit.ts';
import { type Command, commandOf, type Done, subjectOf, tierOf, whoOf } from './command.ts';
import { engage } from './engage.ts';
import { withEnvFile } from './env-file.ts';
import { CommandError, exit, failureOf } from './failure.ts';
import { forensics } from './forensics.ts';
import { ghosts } from './ghosts.ts';
import { history } from './history.ts';
import { inspect } from './inspect.ts';
import { type Io, terminal } from './io.ts';
import { lint } from './lint.ts';
import { folderPlace, type Place } from './place.ts';
import { clean } from './print.ts';
import { provision } from './provision.ts';
import { receipts } from './receipts.ts';
import { isRedisUrl, mustNotBeInRedis, redisPlace } from './redis-place.ts';
import { release, releaseBreaker, releaseStop } from './release.ts';
import { resolve, type Verdict } from './resolve.ts';
import { resume } from './resume.ts';
import { sessions } from './sessions.ts';
import { status } from './status.ts';
import { stop } from './stop.ts';
import { terminate } from './terminate.ts';

interface Options extends Verdict {
  readonly state?: string;
  readonly json?: boolean;
  readonly reason?: string;
  readonly by?: string;
  readonly yes?: boolean;
  readonly conversation?: boolean;
  readonly pause?: boolean;
  readonly all?: boolean;
  readonly stop?: string;
  readonly breaker?: string;
  readonly workflow?: string;
  readonly user?: string;
  readonly allow?: string;
  readonly credentials?: string;
  readonly envFile?: string;
  readonly source?: string;
  readonly apply?: boolean;
  readonly key?: string;
  readonly limit?: string;
  readonly heads?: string;
  readonly html?: boolean;
}

/** Runs one command line and resolves with its exit code (failure.ts). `place` makes the ports; tests pass their own. */
export async function main(argv: readonly string[], io: Io, place: (folder: string) => Place = folderPlace): Promise<number> {
  let code: number = exit.ok;
  const placeOf = (state: string, isUsed: boolean): Place => {
    if (isRedisUrl(state)) return redisPlace(state, place('.offswitch'));
    if (state === '' || state.includes('://'))
      // Not repeated: it may hold a password.
      throw new CommandError('no_place', '--state (or OFFSWITCH_STATE) is a folder or redis://...', exit.usage);
    const folder = resolvePath(state);
    if (isUsed) mustNotBeInRedis(folder);
    return place(folder);
  };
  const program = new Program('offswitch')
    .configureHelp({ showGlobalOptions: true })
    .description('Stops AI agents, and lets them go on.')
    .option(
      '--state <place>',
      "state folder of the application, or 'redis://...' with '?prefix=...' where the application has another prefix than os1 (default: $OFFSWITCH_STATE, else .offswitch)",
    )
    .option('--json', 'one JSON object on stdout, for machines')
    .option('--credentials <file>', "the vendor's credentials, as NAME=value lines; what is set in the environment wins")
    // The same, for whoever is used to it. Node 20 takes this word for its own, and ends with 9 where there is no such file.
    .addOption(new Option('--env-file <file>').hideHelp())
    .exitOverride()
    .configureOutput({ writeOut: (text) => io.out(text), writeErr: (text) => io.err(cleanLines(text)) })
    .addHelpText(
      'after',
      '\nExit codes: 0 done, 1 error or refused, 2 wrong command line, 3 nothing done because nobody confirmed,\n4 done and recorded, but a running process has not confirmed it yet, or nobody knows the session,\n  or another stop of the same reach is still in force.',
    );
  const on =
    (
      work: (command: Command, options: Options, args: readonly (string | undefined)[]) => Promise<Done>,
      usesState: (args: readonly (string | undefined)[]) => boolean = () => true,
    ) =>
    async (...given: unknown[]): Promise<void> => {
      const self = given.at(-1) as Program;
      const options = self.optsWithGlobals<Options>();
      const args = given.slice(0, -2).map((one) => (typeof one === 'string' ? one : undefined));
      const command = commandOf(
        withEnvFile(io, options.credentials ?? options.envFile),
        placeOf(options.state ?? (io.env.OFFSWITCH_STATE || '.offswitch'), usesState(args)),
        options.json === true,
      );
      let ended: Done;
      try {
        ended = await work(command, options, args);
      } finally {
        const trouble = await command.place.close();
        if (trouble !== undefined) io.err(`offswitch: what was done is not in the audit log: ${clean(trouble)}\n`);
      }
      if (command.isJson) io.out(`${JSON.stringify(ended.json)}\n`);
      code = ended.exitCode;
    };
  const flipping = (one: Program): Program =>
    one
      .option('--reason <text>', 'why; required, shown to everybody who looks')
      .option('--by <name>', 'who asks (default: your user name)')
      .option('-y, --yes', 'do not ask');

  program
    .command('status')
    .description('switches, stops in force, who runs')
    .option('--all', 'every stop of a single session, and not the newest alone')
    .action(on((command, options) => status(command, options.all === true)));
  flipping(program.command('engage').description('stop: global | feature <workflow> | user <id> | instance <session>'))
    .argument('<tier>')
    .argument('[subject]')
    .option('--conversation', 'the instance subject is a conversation id')
    .action(
      on((command, options, [tier, subject]) =>
        engage(command, targetOf(tier, subject, options), whoOf(io, options), options.yes === true),
      ),
    );
  flipping(program.command('release').description('let go on: a switch, a stop by id, or what a breaker paused'))
    .argument('[tier]')
    .argument('[subject]')
    .option('--conversation', 'the instance subject is a conversation id')
    .option('--stop <id>', 'release this stop by act')
    .option('--breaker <name>', `release what this breaker paused: ${breakers.join(', ')}`)
    .option('--workflow <name>', 'with --breaker: of this workflow only')
    .option('--allow <n>', "with --breaker, or --stop of a breaker's stop: how much more, in the breaker's unit")
    .action(on((command, options, [tier, subject]) => released(command, options, tier, subject)));
  flipping(program.command('stop').description('break-glass: end one session; needs no flag source and no running process'))
    .argument('<session>')
    .option('--pause', 'pause it instead of ending it')
    .action(
      on((command, options, [session]) =>
        stop(command, session!, options.pause === true ? 'pause' : 'terminate', whoOf(io, options), options.yes === true),
      ),
    );
  flipping(
    program.command('terminate').description('break-glass: end everything that runs of one workflow or one user, for good'),
  )
    .option('--workflow <name>', 'the sessions of this workflow')
    .option('--user <id>', 'the sessions of this user')
    .action(on((command, options) => terminate(command, options, whoOf(io, options), options.yes === true)));
  program
    .command('resume')
    .description('let one session go on')
    .argument('<session>')
    .option('--reason <text>', 'why')
    .option('--by <name>', 'who asks (default: your user name)')
    .action(
      on((command, options, [session]) =>
        resume(command, session!, whoOf(io, { ...options, reason: options.reason ?? 'resumed' })),
      ),
    );
  program
    .command('resolve')
    .description('settle a call of unknown outcome')
    .argument('<session>')
    .argument('<call>')
    .option('--happened', 'it happened')
    .option('--did-not', 'it did not')
    .option('--value <json>', 'with --happened: its result, for the agent')
    .option('--reason <text>', 'how you know')
    .option('--by <name>', 'who says so (default: your user name)')
    .action(
      on((command, options, [session, call]) => {
        const { by, reason } = whoOf(io, { ...options, reason: options.reason ?? 'resolved' });
        return resolve(command, session!, call!, options, by, options.reason === undefined ? undefined : reason);
      }),
    );
  program
    .command('sessions')
    .description('who runs, as a tree, and what holds them')
    .option('--all', 'those that ended too')
    .action(on((command, options) => sessions(command, options.all === true)));
  program
    .command('ghosts')
    .description('what is alive although it was stopped; looks twice')
    .action(on((command) => ghosts(command)));
  program
    .command('receipts')
    .description('what each stop did; one in full')
    .argument('[id]')
    .option('--html', 'one receipt as a page to read, keep and print')
    .action(on((command, { html }, [id]) => receipts(command, id, html === true)));
  program
    .command('audit')
    .description('who did what, when and why; with "verify": is it still what was written?')
    .addArgument(new Argument('[verify]').choices(['verify']))
    .option('--limit <n>', 'at most this many entries (default 50)')
    .option('--heads <file>', 'with verify: heads that were kept elsewhere, as verify --json gave them')
    .action(
      on((command, { limit, heads }, [action]) => {
        if (action !== undefined) {
          if (limit === undefined) return auditVerify(command, heads);
          throw new CommandError('limit_extra', '--limit goes with the list: verify looks at every entry', exit.usage);
        }
        if (heads !== undefined)
          throw new CommandError('heads_extra', 'to compare with heads: offswitch audit verify --heads <file>', exit.usage);
        return audit(command, limitOf(limit));
      }),
    );
  program
    .command('forensics')
    .description('what is left of a session that was terminated; verified against its receipt')
    .argument('<session>')
    .action(on((command, _, [session]) => forensics(command, session!)));
  program
    .command('provision')
    .description('create the declared switches where they are missing; shows the plan first')
    .option('--apply', 'carry the plan out')
    .option('--source <name>', 'at another vendor than the one that is read now: launchdarkly, growthbook, unleash')
    .option('-y, --yes', 'do not ask')
    .action(
      on((command, { apply, yes, source }) =>
        provision(command, { isApplied: apply === true, isYes: yes === true, kind: source }),
      ),
    );
  program
    .command('inspect')
    .description('what the source says of each switch, and what is wrong with it')
    .option('--source <name>', 'at another vendor than the one that is read now')
    .action(on((command, { source }) => inspect(command, source)));
  program
    .command('history')
    .description('who flipped what, when and why')
    .option('--key <flag>', 'of one switch')
    .option('--limit <n>', 'at most this many (default 50)')
    .action(on((command, { key, limit }) => history(command, key, limitOf(limit))));
  program
    .command('lint')
    .description('faults of a flag file')
    .argument('[file]')
    .action(
      on(
        (command, _, [file]) => lint(command, file),
        ([file]) => file === undefined,
      ),
    );

  try {
    await program.parseAsync([...argv], { from: 'user' });
  } catch (error) {
    if (error instanceof CommanderError) {
      if (error.exitCode === 0) return exit.ok;
      const failure = { code: 'bad_command_line', message: error.message.replace(/^error: /, ''), exitCode: exit.usage };
      if (argv.includes('--json')) io.out(`${JSON.stringify({ error: failure })}\n`);
      return exit.usage;
    }
    const failure = failureOf(error);
    io.err(`offswitch: ${cleanLines(failure.message)}\n`);
    if (argv.includes('--json')) io.out(`${JSON.stringify({ error: failure })}\n`);
    return failure.exitCode;
  }
  return code;
}

const breakers: readonly Breaker[] = ['cost', 'tool-failures', 'turns', 'actions', 'repeats'];

function limitOf(text: string | undefined): number {
  const limit = text === undefined ? 50 : Number(text);
  if (Number.isSafeInteger(limit) && limit > 0) return limit;
  throw new CommandError('bad_limit', '--limit is a whole number above 0', exit.usage);
}

/** The id of a stop where a tier belongs: whoever copied it from `status` means that stop. */
function refuseStopId(given: string | undefined): void {
  if (given !== undefined && parseStopKey(given))
    throw new CommandError(
      'release_what',
      `${JSON.stringify(clean(given))} is the id of a stop; to release that one: offswitch release --stop ${clean(given)} --reason ...`,
      exit.usage,
    );
}

function targetOf(tier: string | undefined, subject: string | undefined, options: Options) {
  const which = tierOf(tier ?? '');
  if (options.conversation === true && which !== 'instance')
    throw new CommandError('conversation_extra', '--conversation goes with the instance tier', exit.usage);
  return { tier: which, subject: subjectOf(which, subject), isConversation: options.conversation === true };
}

async function released(
  command: Command,
  options: Options,
  tier: string | undefined,
  subject: string | undefined,
): Promise<Done> {
  refuseStopId(tier);
  const who = whoOf(command.io, options);
  const isYes = options.yes === true;
  const named = [tier, options.stop, options.breaker].filter((one) => one !== undefined).length;
  if (named !== 1)
    throw new CommandError(
      'release_what',
      'say what to release: a tier (and its subject), or --stop <id>, or --breaker <name>',
      exit.usage,
    );
  const allowance = options.allow === undefined ? undefined : Number(options.allow);
  if (allowance !== undefined && !(Number.isSafeInteger(allowance) && allowance > 0))
    throw new CommandError('bad_allowance', '--allow is a whole number above 0', exit.usage);
  if (tier !== undefined && allowance !== undefined)
    throw new CommandError('allowance_extra', '--allow goes with --breaker or --stop: a switch counts nothing', exit.usage);
  if (options.breaker === undefined && options.workflow !== undefined)
    throw new CommandError('workflow_extra', '--workflow goes with --breaker', exit.usage);
  if (options.stop !== undefined) return releaseStop(command, options.stop, allowance, who, isYes);
  if (options.breaker === undefined) return release(command, targetOf(tier, subject, options), who, isYes);
  const breaker = breakers.find((one) => one === options.breaker);
  if (!breaker)
    throw new CommandError(
      'unknown_breaker',
      `${JSON.stringify(clean(options.breaker))} is no breaker; one of ${breakers.join(', ')}`,
      exit.usage,
    );
  const filter = {
    ...(options.workflow === undefined ? {} : { workflow: options.workflow }),
    ...(allowance === undefined ? {} : { allowance }),
  };
  return releaseBreaker(command, breaker, filter, who, isYes);
}

/** Commander repeats what was typed; a pasted line may hold escape sequences. */
const cleanLines = (text: string): string => text.split('\n').map(clean).join('\n');

/** The real terminal. */
export function processIo(): Io {
  let user = '';
  try {
    user = userInfo().username;
  } catch {
    // A container may run under a user without a name: then --by is asked for.
  }
  return terminal(user);
}
