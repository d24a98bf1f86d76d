// gate-control.ts: what a process with a gate alone answers the command line. It has decisions and lineage, no journal: a
// stop is in force when the gate refuses, and whether a loop has come to rest is the loop's to know.

import { run, type Stop, strongest } from '@offswitch/core';
import { fieldsOf, kindOf, tierOf } from './control.ts';
import { covers } from './covering.ts';
import { leftAbove } from './detached.ts';
import { RuntimeError } from './error.ts';
import { mintId } from './id.ts';
import type { Kernel } from './kernel.ts';
import type { Loop, Loops } from './loops.ts';
import { unlatched } from './order.ts';
import type { Receipt, ReceiptSession } from './receipt.ts';
import { refuseRelease } from './release.ts';
import { countStates, statusOf } from './status.ts';
import { describeStop, type StopEntry } from './stop-entry.ts';
import { subjectKey } from './stop-key.ts';
import type { ControlHandler } from './store.ts';
import { aboveOf, previewOf, type SessionView } from './view.ts';

export function gateControlHandler(kernel: Kernel, loops: Loops): ControlHandler {
  const { clock, store } = kernel.options;
  const views = (): SessionView[] => [...loops.all()].map((loop) => viewOf(kernel, loops, loop, clock.now()));
  return async (method, params) => {
    const { text, optional } = fieldsOf(method, params);
    switch (method) {
      case 'ping':
        return { processId: store.processId, pid: process.pid, kind: 'gate' };
      case 'status':
        return statusOf(kernel, countStates(views()), []);
      case 'sessions':
        return views();
      case 'receipts':
        return kernel.stops.inForce().flatMap(({ id }) => {
          const entry = kernel.stops.find(id);
          return entry ? [receiptOf(entry, loops)] : [];
        });
      case 'preview':
        return previewOf(
          [...loops.all()].map(({ node }) => node),
          tierOf(text('tier')),
          optional('subject'),
          kindOf(optional('kind')),
        );
      case 'stop': {
        const session = text('session');
        if (!loops.get(session))
          throw new RuntimeError('unknown_session', `no session ${JSON.stringify(session)} asks this gate`);
        const { entry, latched } = kernel.stops.act(
          {
            kind: 'act',
            cause: 'operator',
            action: optional('action') === 'pause' ? 'pause' : 'terminate',
            tier: 'instance',
            subject: subjectKey(session),
            id: mintId('o'),
          },
          { reason: text('reason'), by: text('by'), at: clock.now(), subject: session },
        );
        await latched;
        return receiptOf(entry, loops);
      }
      case 'release': {
        const entry = kernel.stops.find(text('stop'));
        if (!entry) throw new RuntimeError('unknown_stop', `no stop ${JSON.stringify(text('stop'))} is in force`);
        refuseRelease(kernel, entry);
        const stop = describeStop(entry);
        await kernel.stops.release(entry, { reason: text('reason'), by: text('by'), at: clock.now() }).latched;
        return [stop];
      }
      case 'reread':
        await kernel.reread();
        return { confirmed: true };
      case 'refresh':
        await kernel.reread();
        await kernel.switchboard.refresh();
        return { refreshed: true };
      default:
        throw new RuntimeError(
          'invalid_option',
          `a gate alone has no method ${JSON.stringify(method.slice(0, 40))}: sessions are resumed and settled by the loop that runs them`,
        );
    }
  };
}

function viewOf(kernel: Kernel, loops: Loops, { node, start, refusal }: Loop, now: number): SessionView {
  // One that has not begun is held, whatever no stop says.
  const decision = strongest(kernel.decide(node), start && refusal ? refusal.decision : run);
  const left = leftAbove(node);
  return {
    id: node.id,
    root: node.path[0]!,
    path: node.path,
    ...(node.parent ? { parent: node.parent.id } : {}),
    agent: node.workflow ?? '',
    workflow: node.workflow ?? '',
    ...(node.userId === undefined ? {} : { user: node.userId }),
    ...(node.conversationId === undefined ? {} : { conversation: node.conversationId }),
    ...(left === undefined ? {} : { left }),
    ...aboveOf(node, (id) => loops.get(id) !== undefined),
    state: decision.action === 'run' ? 'running' : decision.action === 'pause' ? 'paused' : 'terminated',
    turn: 0,
    checkpointTurn: 0,
    costMicros: 0,
    decision,
    calls: [],
    unknownCalls: [],
    since: now,
  };
}

/**
 * True as far as a gate can tell: it refuses from here on. A loop that has asked since was refused, so it rests; of one that has
 * not asked, the turn in progress may go on, and what comes after `fenced` is not said until it has.
 */
function receiptOf(entry: StopEntry, loops: Loops): Receipt {
  const stop = describeStop(entry);
  const isLatched = entry.stored.engaged >= entry.marks.engaged;
  const covered = [...loops.all()].filter(({ node }) => covers({ entry }, node));
  const refused = covered.map(({ refusal }) => refusal).filter((one) => one !== undefined && one.at >= stop.since);
  const at = Math.max(stop.since, ...refused.map((one) => one!.at));
  const isAtRest = refused.length === covered.length;
  return {
    id: stop.id,
    stop,
    stages: {
      ...(isLatched ? { recorded: stop.since } : {}),
      fenced: stop.since,
      ...(isAtRest ? { drained: at, revoked: at, done: at } : {}),
    },
    sessions: covered.map((loop) => sessionOf(loop, stop)),
    grants: [],
    residue: [
      ...(isLatched ? [] : [unlatched]),
      ...(isAtRest
        ? []
        : ['a gate alone refuses the next turn; whether the turn in progress has ended is known when the loop asks again']),
    ],
  };
}

function sessionOf({ node, refusal }: Loop, stop: Stop): ReceiptSession {
  const isRefused = refusal !== undefined && refusal.at >= stop.since;
  return {
    session: node.id,
    path: node.path,
    agent: node.workflow ?? '',
    workflow: node.workflow ?? '',
    ...(node.userId === undefined ? {} : { user: node.userId }),
    ...(isRefused
      ? {
          state: refusal.decision.action === 'terminate' ? 'stopped' : 'paused',
          why: `its loop asked at ${new Date(refusal.at).toISOString()} and was refused`,
        }
      : { state: 'unconfirmed', why: 'the gate refuses its next turn; its loop has not asked since' }),
    checkpointTurn: 0,
    calls: [],
  };
}
