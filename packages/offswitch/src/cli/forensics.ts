// forensics.ts: what is left of a terminated session, and whether it is what its receipt says.

import { sha256 } from '@offswitch/runtime';
import { type Command, type Done, done } from './command.ts';
import { CommandError, type ExitCode, exit } from './failure.ts';
import { clean, moment, paint, table } from './print.ts';
import { isRecord, list, number, text } from './wire.ts';

type Fields = Readonly<Record<string, unknown>>;

/** Exit code 1 where the bundle is not what the receipt says, or no receipt says what it should be. */
export async function forensics(command: Command, session: string): Promise<Done> {
  const { place, io } = command;
  const unread: string[] = [];
  const said = (await place.receipts((what) => unread.push(what))).flatMap((receipt) =>
    receipt.sessions.flatMap((one) =>
      one.session === session && one.forensics ? [{ receipt: receipt.id, ...one.forensics }] : [],
    ),
  );
  const problems = unread.map((one) => `${one}: what it says is not known`);
  for (const one of problems) command.say(paint(io, 'red', `! ${clean(one)}`));
  const noReceipt = problems.length > 0 ? `no receipt that can be read says` : 'no receipt says';
  const stored = await place.bundle(session);
  if (stored === undefined) {
    const unsaid = problems.length > 0 ? `${noReceipt} why (${problems.join('; ')})` : 'it was not terminated here';
    const [why = unsaid] = said.map((one) =>
      'missing' in one ? one.missing : `the receipt ${one.receipt} names one, and it is gone`,
    );
    throw new CommandError('no_bundle', `there is no bundle of session ${clean(session)}: ${clean(why)}`);
  }
  const digest = sha256(stored);
  const digests = said.flatMap((one) => ('digest' in one ? [one] : []));
  const match = digests.find((one) => one.digest === digest);
  const verified = match ? 'yes' : digests.length > 0 ? 'no' : 'unknown';
  const bundle = parse(stored);
  if (bundle) show(command, bundle);
  else command.say(paint(io, 'red', 'what is stored is no bundle'));
  const words = {
    yes: `✓ sha256 ${digest}, as the receipt ${match?.receipt} says`,
    no: `✗ sha256 ${digest}, and the receipt ${digests[0]?.receipt} says ${digests[0]?.digest}: it was changed`,
    unknown: `✗ sha256 ${digest}; ${noReceipt} what it should be`,
  } as const;
  command.say(paint(io, verified === 'yes' ? 'green' : 'red', clean(words[verified])));
  const code: ExitCode = verified === 'yes' && bundle ? exit.ok : exit.failed;
  return done(
    {
      session,
      digest,
      verified,
      ...(match ? { receipt: match.receipt } : {}),
      bundle: bundle ?? null,
      ...(problems.length > 0 ? { problems } : {}),
    },
    code,
  );
}

function parse(stored: string): Fields | undefined {
  try {
    const value: unknown = JSON.parse(stored);
    return isRecord(value) ? value : undefined;
  } catch {
    return undefined;
  }
}

const fields = (value: unknown): Fields => (isRecord(value) ? value : {});

function show(command: Command, bundle: Fields): void {
  const { io } = command;
  const [stop, decision, checkpoint, journal] = [bundle.stop, bundle.decision, bundle.checkpoint, bundle.journal].map(fields);
  const [readings, versions] = [bundle.readings, bundle.versions].map(fields);
  const agent = fields(versions!.agent);
  const position = fields(stop!.position);
  command.say(paint(io, 'bold', `forensics of ${clean(text(bundle.session) ?? '?')}`));
  command.say(
    table([
      ['path', list(bundle.path).map(String).join(' > ')],
      ['agent', `${text(agent.name) ?? '?'}${text(agent.version) === undefined ? '' : ` ${text(agent.version)}`}`],
      ['workflow', text(bundle.workflow) ?? '?'],
      ['user', text(bundle.user) ?? ''],
      ['born', moment(bundle.bornAt)],
      ['terminated', `${moment(bundle.terminatedAt)} by process ${text(bundle.process) ?? '?'}`],
      [
        'stop',
        `${text(stop!.id) ?? 'unknown'}${text(position.series) === undefined ? '' : ` (${text(position.series)} at ${number(position.n) ?? '?'})`}`,
      ],
      ['decision', `${text(decision!.action) ?? '?'} ${text(decision!.tier) ?? ''} ${text(decision!.cause) ?? ''}`],
      ['reason', `${text(decision!.reason) ?? ''}${text(decision!.by) === undefined ? '' : ` (${text(decision!.by)})`}`],
      [
        'checkpoint',
        `turn ${number(checkpoint!.turn) ?? '?'}${text(checkpoint!.digest) === undefined ? '' : `, sha256 ${text(checkpoint!.digest)}`}`,
      ],
      ['versions', `offswitch ${text(versions!.offswitch) ?? '?'}, node ${text(versions!.node) ?? '?'}`],
    ]).trimEnd(),
  );
  const switches = list(readings!.switches).map(fields);
  command.say(
    `  switches at ${moment(readings!.at)}, read at ${clean(text(fields(readings!.source).name) ?? '?')} (${clean(text(fields(fields(readings!.source).health).state) ?? '?')})`,
  );
  command.say(
    table(
      switches.map((one) => [
        text(one.key) ?? '?',
        text(one.state) ?? '?',
        `${text(fields(one.position).series) ?? ''} ${number(fields(one.position).n) ?? ''}`.trim(),
      ]),
      '    ',
    ).trimEnd(),
  );
  for (const turn of list(journal!.turns).map(fields))
    for (const call of list(turn.calls).map(fields))
      command.say(
        `  ${clean(text(call.id) ?? '?')}  ${clean(`${text(call.kind) ?? '?'} ${text(call.name) ?? '?'}`)}  ${clean(text(call.outcome) ?? 'no end')}  key ${clean(text(call.idempotencyKey) ?? '?')}`,
      );
  for (const grant of list(bundle.grants).map(fields))
    command.say(`  grant ${clean(`${text(grant.id) ?? '?'} at ${text(grant.broker) ?? '?'}: ${text(grant.state) ?? '?'}`)}`);
}
