// receipts.ts: what each stop did: as a list, or one in full.

import { isReceiptOf, type Receipt, stageNames, stages } from '@offswitch/runtime';
import { type Command, type Done, done } from './command.ts';
import { CommandError, exit } from './failure.ts';
import { mustHaveBeenUsed } from './nothing-there.ts';
import { age, clean, count, moment, paint, table } from './print.ts';
import { mayWork, receiptPage } from './receipt-page.ts';
import { inTreeOrder } from './tree.ts';
import { askAll, isReceipt, receiptsIn, subjectName } from './wire.ts';

/** `isPage`: on stdout there is a page (receipt-page.ts) and nothing else. */
export async function receipts(command: Command, id: string | undefined, isPage: boolean): Promise<Done> {
  if (isPage && (id === undefined || command.isJson))
    throw new CommandError('page_of_what', 'a page is of one receipt: offswitch receipts <id> --html > receipt.html', exit.usage);
  const unread: string[] = [];
  const all = await collect(command, id, unread);
  const isWhole = unread.length === 0;
  const problems = isWhole ? {} : { problems: unread };
  const notKnown = unread.map((one) => `${one}: what it says is not known`);
  const ending = isWhole ? exit.ok : exit.failed;
  if (id === undefined) {
    for (const one of notKnown) command.say(paint(command.io, 'red', `! ${clean(one)}`));
    if (all.length > 0 || isWhole) list(command, all);
    return done({ receipts: all, ...problems }, ending);
  }
  const said = all.filter((one) => isReceiptOf(one, id));
  if (said.length === 0) {
    const beside = isWhole ? '' : ` that can be read (${notKnown.map(clean).join('; ')})`;
    const message = `there is no receipt ${JSON.stringify(clean(id))}${beside}; the list: offswitch receipts`;
    throw new CommandError('unknown_receipt', message);
  }
  // Any of them may be a part of this one, by a process that says otherwise.
  const found = said.map((one) => ({ ...one, residue: [...one.residue, ...notKnown] }));
  if (isPage) {
    for (const one of notKnown) command.io.err(`offswitch: ${clean(one)}\n`);
    command.io.out(receiptPage(found, command.io.now()));
  } else for (const one of found) full(command, one);
  return done({ receipts: found, ...problems }, ending);
}

/** What processes say comes first: it is newer than what is written down. Newest first. Throws where nothing was ever written down. */
async function collect(command: Command, id: string | undefined, unread: string[]): Promise<readonly Receipt[]> {
  const answers = await askAll(command.place, 'receipts', id === undefined ? {} : { id }, receiptsIn);
  const byId = new Map<string, Receipt>();
  for (const one of [
    ...answers.answered.flatMap((answer) => answer.value),
    ...(await command.place.receipts((what) => unread.push(what))).filter(isReceipt),
  ]) {
    if (!byId.has(one.id)) byId.set(one.id, one);
  }
  if (byId.size + unread.length + answers.answered.length + answers.silent.length === 0) await mustHaveBeenUsed(command.place);
  return [...byId.values()].sort((a, b) => b.stop.since - a.stop.since);
}

function list(command: Command, all: readonly Receipt[]): void {
  if (all.length === 0) {
    command.say('no stop has left a receipt here');
    return;
  }
  const rows = all.map((one) => {
    const last = stages.filter((stage) => one.stages[stage] !== undefined).at(-1);
    const state = one.released === undefined ? (last ? stageNames[last] : 'not yet recorded') : 'released';
    return [
      one.stop.tier,
      subjectName(one.stop.subject),
      state,
      covered(one),
      one.residue.length > 0 ? `${one.residue.length} left over` : '',
      age(command.io.now(), one.stop.since),
      one.stop.reason,
      one.id,
    ];
  });
  command.say(table([['tier', 'subject', 'stage', 'covers', 'residue', 'since', 'reason', 'id'], ...rows], '').trimEnd());
}

/** `12 sessions, and 22 that had ended`: those it stopped or paused, and those it came too late for. */
function covered({ sessions }: Receipt): string {
  const ended = sessions.filter(({ state }) => state === 'already-ended').length;
  return `${count(sessions.length - ended, 'session')}${ended > 0 ? `, and ${ended} that had ended` : ''}`;
}

function full(command: Command, one: Receipt): void {
  const { io } = command;
  const { stop } = one;
  const at = (time: number | undefined): string => (time === undefined ? 'not yet' : moment(time));
  command.say(paint(io, 'bold', `receipt ${clean(one.id)}`));
  command.say(`  stop      ${clean(stop.action)} ${stop.tier} ${clean(subjectName(stop.subject))}`.trimEnd());
  command.say(`  reason    ${clean(stop.reason)}${stop.by === undefined ? '' : ` (${clean(stop.by)})`}`);
  command.say(table(stages.map((stage) => [stageNames[stage], at(one.stages[stage])])).trimEnd());
  if (one.released !== undefined) command.say(`  released  ${at(one.released)}`);
  const processes = new Set(one.sessions.map((session) => session.process));
  command.say(`  covers    ${covered(one)}${processes.size > 1 ? ` in ${count(processes.size, 'process')}` : ''}`);
  const rows = inTreeOrder(one.sessions).flatMap(({ one: session, depth }) => [
    [
      `${'  '.repeat(Math.min(depth, 12))}${session.session}`,
      session.agent,
      `${session.state}${session.why ? ` (${session.why})` : ''}`,
      `checkpoint: turn ${session.checkpointTurn}`,
      session.process ?? '',
      session.forensics === undefined
        ? ''
        : 'digest' in session.forensics
          ? 'bundle kept'
          : `no bundle: ${session.forensics.missing}`,
    ],
    ...session.calls.map((call) => [
      `${'  '.repeat(Math.min(depth, 12) + 2)}${call.id}`,
      `${call.kind} ${call.name}`,
      call.outcome,
      call.idempotencyKey ? `key ${call.idempotencyKey}` : '',
    ]),
  ]);
  if (rows.length > 0) command.say(table(rows).trimEnd());
  for (const grant of one.grants)
    command.say(
      `  grant     ${clean(grant.id)} of ${clean(grant.session)} at ${clean(grant.broker)}: ${clean(grant.state)} since ${moment(grant.at)}, may work ${mayWork(grant)}${grant.evidence === undefined ? '' : ` (${clean(grant.evidence)})`}`,
    );
  if (one.residue.length === 0) command.say('  residue   none known');
  for (const left of one.residue) command.say(paint(io, 'yellow', `  residue   ${clean(left)}`));
}
