// gate.ts: level 1, for a loop of one's own: decisions and lineage, nothing else to adopt.

import {
  checkId,
  type Decision,
  type KillSwitches,
  noticeOf,
  OffswitchError,
  type SwitchSource,
  unknownWorkflow,
} from '@offswitch/core';
import { type Arrival, aboveOf, carryForMs, openArrival, refused, rootOf, signNode, tokenOf, under } from './arrival.ts';
import { atMost } from './at-most.ts';
import { auditOf } from './audit/audit-of.ts';
import { type Clock, systemClock } from './clock.ts';
import { RuntimeError } from './error.ts';
import { folderStore } from './folder/folder-store.ts';
import { Foreign } from './foreign.ts';
import { gateControlHandler, type Refusal } from './gate-control.ts';
import type { Above } from './journal.ts';
import { type Alarm, Kernel } from './kernel.ts';
import { Known } from './known.ts';
import type { Registration } from './lineage-store.ts';
import { Node } from './node.ts';
import { type Carrier, carrierOf } from './path/carrier.ts';
import { checkedPathKeys, type PathKeys, pathKeysFromEnv } from './path/path-keys.ts';
import { seal } from './path/signed-path.ts';
import type { StateStore } from './store.ts';

export interface GateOptions<Workflow extends string = string> {
  readonly switches: KillSwitches<Workflow>;
  readonly source: SwitchSource;
  /** Where stops are latched, so that they survive a restart (S4). Default: the folder `.offswitch`. */
  readonly store?: StateStore;
  /** Default: the machine's clock. */
  readonly clock?: Clock;
  /** Last readings of an earlier process count as read at start when younger than this. Milliseconds, default 3,600,000 (1 h): a vendor's outage during a deploy does not stop the fleet. */
  readonly bootstrapMaxAgeMs?: number;
  /** Keys that paths to and from other processes are signed with. Default: those of `OFFSWITCH_PATH_KEYS`. */
  readonly pathKeys?: PathKeys;
  /** Told of every hold with its cause and way out, within a second. Default: `console.error`. */
  readonly onAlarm?: (alarm: Alarm) => void;
}

export interface GateSubject<Workflow extends string = string> {
  readonly workflow: Workflow;
  readonly sessionId: string;
  readonly userId?: string;
  readonly conversationId?: string;
  /** The session that started this one; it must have asked this gate before, or the answer is a hold. Fixed at the first call. */
  readonly parentId?: string;
  /** The session of another process that started this one, as `accept` gave it. Fixed at the first call. */
  readonly parent?: Arrival;
}

export interface Gate<Workflow extends string = string> {
  /**
   * May this session take its next turn? Ask before each. Throws `unknown_workflow` and `invalid_id`; for a new one under a session of
   * another process `path_expired`, `root_unknown`, `root_settled`, and `session_elsewhere` where its call has a child already; never for
   * a stop or a fault of the source or the store, which are decisions.
   */
  decide(subject: GateSubject<Workflow>): Promise<Decision>;
  /** May new work of this workflow start? For queues. From memory: what is known of global, the workflow and the user. */
  admits(subject: { readonly workflow: Workflow; readonly userId?: string }): Decision;
  /**
   * What another process needs to begin a session under this one: headers, an MCP `_meta`, an environment variable. Made anew for each
   * use, good for ten minutes. Rejects with `unknown_session` for one that has not asked this gate, `path_keys_missing`, `path_too_long`.
   */
  carry(sessionId: string): Promise<Carrier>;
  /**
   * Verifies the path that a session of another process carried here: a token, or what it came in. Throws `path_missing`, `path_forged`,
   * `path_expired`, `path_too_long`, `path_malformed`, `path_keys_missing`, `root_unknown`, `root_settled`.
   */
  accept(carrier: string | object): Promise<Arrival>;
  /** The session is over: forget it, once its children are over too. Its stops stay. */
  end(sessionId: string): void;
  close(): Promise<void>;
}

/** Opens a gate: reads every switch once, or holds. Rejects on bad configuration only. */
export async function openGate<Workflow extends string>(options: GateOptions<Workflow>): Promise<Gate<Workflow>> {
  const clock = options.clock ?? systemClock;
  const pathKeys = options.pathKeys ? checkedPathKeys(options.pathKeys) : pathKeysFromEnv();
  const store = options.store ?? folderStore('.offswitch');
  const onAlarm = options.onAlarm ?? ((alarm: Alarm) => console.error(`offswitch: ${alarm.message}`));
  const audit = auditOf(store, clock, (alarm) => {
    try {
      onAlarm(alarm);
    } catch {
      // Whoever listens is outside of the decision (I13).
    }
  });
  let isOpen = false;
  const kernel = await Kernel.open({
    switches: options.switches,
    source: options.source,
    store,
    clock,
    bootstrapMaxAgeMs: options.bootstrapMaxAgeMs ?? 3_600_000,
    runsSessions: false,
    // What the store holds at the start is no news.
    onStop: (change) => {
      if (isOpen || !change.isLearned) audit.stop(change);
    },
    onChange: () => {},
    onAlarm,
  });
  isOpen = true;
  const nodes = new Map<string, Node>();
  const refusals = new Map<Node, Refusal>();
  // The command line reaches a gate too; but a loop that has ended is no longer running for it.
  await kernel.options.store.serve?.(gateControlHandler(kernel, nodes, refusals), { keepsAlive: false });
  const reading = new Map<string, Promise<unknown>>();
  const children = new Map<Node, number>();
  const ended = new Set<Node>();
  const known = new Known(store.lineage);
  const arrivals = new Map<Node, Above>();
  /** Of sessions in other processes, for the next that begins under them. */
  let beingRead: Promise<void>[] = [];
  const foreign = new Foreign({
    sharedUserId: (id) => kernel.switchboard.sharedUserId(id),
    watch: (node) => {
      kernel.stops.know(node);
      const admitted = kernel.switchboard.admit(node);
      if (admitted) beingRead.push(admitted);
    },
    unwatch: (node) => {
      kernel.stops.unknow(node);
      kernel.switchboard.dismiss(node);
    },
  });
  let isClosed = false;

  const forget = (node: Node): void => {
    ended.delete(node);
    const above = arrivals.get(node);
    arrivals.delete(node);
    if (above) foreign.leave(above);
    if (known.delete(node.id)) store.lineage.note(node.id, rootOf(node).id, 'completed');
    refusals.delete(node);
    nodes.delete(node.id);
    kernel.stops.unknow(node);
    kernel.switchboard.dismiss(node);
  };

  /** Once for each refusal, where it is made. */
  const refusing = (error: RuntimeError): RuntimeError => {
    audit.refused(error);
    return error;
  };

  /** Made known to the store, which knows whether the root lives and whether the call has another child. Throws what `decide` does. */
  const beginUnder = async (node: Node, { path, call }: Arrival): Promise<void> => {
    const registration = { ...registrationOf(node), path: [...path, node.id], ...(call === undefined ? {} : { call }) };
    try {
      const registered = await store.lineage.register(registration);
      if (registered.status === 'refused') throw refusing(refused(registered.code, path[0]!));
      if (registered.status === 'exists' && registered.session.session !== node.id)
        throw new RuntimeError(
          'session_elsewhere',
          `the call that this path was carried for has a child already: ${registered.session.session}`,
        );
      if (nodes.get(node.id) === node) known.add(node.id);
      // It ended meanwhile, when nobody knew of it yet, and has not begun anew.
      else if (!nodes.has(node.id)) store.lineage.note(node.id, rootOf(node).id, 'completed');
    } catch (error) {
      if (nodes.get(node.id) === node) forget(node);
      throw error;
    }
  };

  const check = (subject: { readonly workflow: Workflow; readonly userId?: string }): void => {
    if (isClosed) throw new RuntimeError('closed', 'this gate was closed');
    if (typeof subject !== 'object' || subject === null)
      throw new OffswitchError('invalid_id', 'say whom to decide for: { workflow, sessionId }');
    checkId('workflow', subject.workflow);
    if (!options.switches.isWorkflow(subject.workflow)) throw unknownWorkflow(subject.workflow, options.switches.workflows);
    if (subject.userId !== undefined) checkId('userId', subject.userId);
  };

  const decide = async (subject: GateSubject<Workflow>): Promise<Decision> => {
    check(subject);
    checkId('sessionId', subject.sessionId);
    if (subject.conversationId !== undefined) checkId('conversationId', subject.conversationId);
    if (subject.parentId !== undefined) checkId('parentId', subject.parentId);
    let node = nodes.get(subject.sessionId);
    if (!node) {
      if (subject.parentId !== undefined && subject.parent)
        throw new RuntimeError('invalid_option', 'a session has one parent: parentId of this process, or parent of another');
      const above = subject.parent && aboveOf(subject.parent, clock.now(), refusing);
      const parent = subject.parentId !== undefined ? nodes.get(subject.parentId) : above && foreign.enter(above);
      if (subject.parentId !== undefined && !parent)
        return held(
          `the parent ${JSON.stringify(subject.parentId)} has never asked this gate, so a stop of it could not reach this session; decide for the parent first`,
          'Held until its parent is known.',
          clock.now(),
        );
      node = new Node({
        id: subject.sessionId,
        workflow: subject.workflow,
        ...(subject.userId === undefined ? {} : { userId: subject.userId }),
        ...(subject.conversationId === undefined ? {} : { conversationId: subject.conversationId }),
        ...(parent ? { parent } : {}),
      });
      nodes.set(node.id, node);
      if (above) arrivals.set(node, above);
      else if (parent) children.set(parent, (children.get(parent) ?? 0) + 1);
      kernel.stops.know(node);
      const admitted = kernel.switchboard.admit(node);
      if (admitted) beingRead.push(admitted);
      const began = subject.parent && beginUnder(node, subject.parent);
      if (began) beingRead.push(began);
      if (beingRead.length > 0) {
        const read = Promise.all(beingRead).finally(() => void reading.delete(subject.sessionId));
        reading.set(node.id, read);
        beingRead = [];
      }
    }
    ended.delete(node);
    try {
      await reading.get(node.id);
    } catch (error) {
      if (!RuntimeError.is(error) || error.code !== 'store_failed') throw error;
      return held(`it could not be made known that it began: ${error.message}`, 'Held until the store answers.', clock.now());
    }
    const decision = kernel.decide(node);
    if (decision.action === 'run') refusals.delete(node);
    else refusals.set(node, { decision, at: clock.now() });
    return decision;
  };

  return {
    decide: (subject) => (subject?.parent ? under(subject.parent, () => decide(subject)) : decide(subject)),
    admits(subject) {
      check(subject);
      const node = new Node({
        id: '-',
        workflow: subject.workflow,
        ...(subject.userId === undefined ? {} : { userId: subject.userId }),
      });
      node.isRead = true;
      return kernel.decide(node);
    },
    async carry(sessionId) {
      if (isClosed) throw new RuntimeError('closed', 'this gate was closed');
      const node = nodes.get(sessionId);
      if (!node) throw unknownSession(sessionId);
      const token = seal(signNode(pathKeys, node), { expiresAt: clock.now() + carryForMs });
      const root = rootOf(node);
      // What is above in other processes was made known there.
      if (nodes.get(root.id) === root) {
        await known.register(registrationOf(root));
        await store.flush();
        if (nodes.get(root.id) !== root) {
          // It ended meanwhile, when nobody knew of it yet.
          store.lineage.note(root.id, root.id, 'completed');
          throw unknownSession(sessionId);
        }
      }
      return carrierOf(token);
    },
    async accept(carrier) {
      if (isClosed) throw new RuntimeError('closed', 'this gate was closed');
      try {
        return await openArrival(pathKeys, tokenOf(carrier), clock.now(), store.lineage);
      } catch (error) {
        throw RuntimeError.is(error) ? refusing(error) : error;
      }
    },
    end(sessionId) {
      const node = nodes.get(sessionId);
      if (!node) return;
      ended.add(node);
      // Its switch is read on for as long as it has children: a stop of it reaches them (S2).
      for (let at: Node | undefined = node; at && ended.has(at) && !children.has(at); at = at.parent) {
        const above = arrivals.get(at);
        forget(at);
        if (above) break;
        const left = at.parent ? children.get(at.parent)! - 1 : 0;
        if (at.parent && left > 0) children.set(at.parent, left);
        else if (at.parent) children.delete(at.parent);
      }
    },
    async close() {
      if (isClosed) return;
      isClosed = true;
      await atMost(clock, 5_000, () => audit.close());
      await kernel.close();
    },
  };
}

function unknownSession(id: string): RuntimeError {
  return new RuntimeError('unknown_session', `no session ${JSON.stringify(id)} is running at this gate`);
}

function registrationOf(root: Node): Registration {
  return {
    session: root.id,
    path: [root.id],
    agent: root.workflow ?? '',
    workflow: root.workflow ?? '',
    ...(root.userId === undefined ? {} : { user: root.userId }),
    ...(root.conversationId === undefined ? {} : { conversation: root.conversationId }),
    isLocalRoot: true,
    isLoop: true,
  };
}

function held(reason: string, effect: string, since: number): Decision {
  return { action: 'pause', tier: 'instance', cause: 'unknown', reason, effect, notice: noticeOf('pause'), since };
}
