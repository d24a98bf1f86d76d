// runtime.ts: level 2: agents whose turns, calls and sub-agents are governed, checkpointed and resumed by name.

import {
  checkId,
  type KillSwitches,
  OffswitchError,
  type Stop,
  type SwitchSource,
  type Tier,
  unknownWorkflow,
} from '@offswitch/core';
import { resolveCall, resumeSession, type StopOrder, stopSession } from './acts.ts';
import type { Agent, AgentOptions, RunOptions } from './agent.ts';
import { type Arrival, under } from './arrival.ts';
import { auditOf } from './audit/audit-of.ts';
import { type BreakerTable, checkBreakers, type Thresholds } from './breakers.ts';
import { type Caps, checkCaps } from './caps.ts';
import { type Clock, systemClock } from './clock.ts';
import { currentContext, runOutside } from './context.ts';
import { controlHandler } from './control.ts';
import { RuntimeError } from './error.ts';
import type { RuntimeListener } from './event.ts';
import { folderStore } from './folder/folder-store.ts';
import type { ForensicsOptions } from './forensics/forensics.ts';
import type { CredentialBroker } from './grants/broker.ts';
import { type Alarm, Kernel } from './kernel.ts';
import type { Outcome } from './outcome.ts';
import { checkedPathKeys, type PathKeys, pathKeysFromEnv } from './path/path-keys.ts';
import type { Receipt } from './receipt.ts';
import { readToTakeUp } from './receipts-to-go-on.ts';
import { forgiveReleased, type ReleaseOrder, releaseByAct } from './release.ts';
import { around, runInside } from './run-inside.ts';
import type { Session } from './session.ts';
import { countStates, statusOf } from './status.ts';
import type { ControlHandler, StateStore, StoreChange } from './store.ts';
import { type Preview, previewOf, type RuntimeStatus, type SessionView, type SubjectKind, unsettled, viewOf } from './view.ts';
import { World } from './world.ts';

export interface RuntimeOptions<Workflow extends string = string> {
  readonly switches: KillSwitches<Workflow>;
  readonly source: SwitchSource;
  /** Where stops, checkpoints and receipts live. Default: the folder `.offswitch` of this machine. */
  readonly store?: StateStore;
  readonly clock?: Clock;
  /** How long a paused graph waits in place before its memory is freed. Milliseconds, default 5,000. */
  readonly parkAfterMs?: number;
  /** The same for a hold: how long a run waits for a switch to become readable before it settles `paused`. Milliseconds, default 30,000. */
  readonly holdForMs?: number;
  /** Last readings of an earlier process count as read when younger. Milliseconds, default 3,600,000. */
  readonly bootstrapMaxAgeMs?: number;
  /** How long an effect in flight gets to end after this process learned of a terminate; then it is aborted and its outcome unknown. Milliseconds, default 10,000. */
  readonly effectDeadlineMs?: number;
  /**
   * Keys that paths to and from other processes are signed with: the first signs, all verify. Default: those of
   * `OFFSWITCH_PATH_KEYS`; without any, nothing is carried or accepted.
   */
  readonly pathKeys?: PathKeys;
  /** What is kept of each session that is terminated, for whoever looks into it later (docs/audit.md). `false`: nothing. */
  readonly forensics?: ForensicsOptions | false;
  /** Thresholds per workflow, `*` for the rest; see the table in breakers.ts. Undeclared ones only report. */
  readonly breakers?: Partial<Readonly<Record<Workflow | '*', Thresholds>>>;
  /** What users and workflows may spend over all their graphs; see the table in caps.ts. Reached, it pauses them until a person releases it and so raises it. Default: nothing is capped. */
  readonly caps?: Caps<Workflow>;
  /** Who lends credentials to tools, by the name under which they ask (`context.grant('mail')`); see docs/grants.md. Default: nobody. */
  readonly brokers?: Readonly<Record<string, CredentialBroker>>;
}

export interface Runtime<Workflow extends string = string> {
  readonly switches: KillSwitches<Workflow>;
  readonly source: SwitchSource;
  readonly store: StateStore;
  /**
   * Defines an agent. A name that is a declared workflow may be run as a root; any other is a sub-agent's and inherits its
   * parent's workflow. Parked and interrupted runs of that name go on from here. Throws `agent_already_registered`.
   */
  agent<Input, Result>(
    name: string,
    body: (session: Session, input: Input) => Promise<Result>,
    options?: AgentOptions,
  ): Agent<Input, Result>;
  /** Runs a piece of code as a root session without a name: governed, but not resumable in another process. */
  run<Result>(workflow: Workflow, body: (session: Session) => Promise<Result>, options?: RunOptions): Promise<Outcome<Result>>;
  /**
   * Verifies the path that a session of another process carried here: a token, or what it came in (headers, a `Request`, an MCP request, `process.env`).
   * Pass the arrival to `agent.run` as `parent`. Throws `path_missing`, `path_forged`, `path_expired`, `path_too_long`,
   * `path_malformed`, `path_keys_missing`, `root_unknown`, `root_settled`; each is told to listeners as well.
   */
  accept(carrier: string | object): Promise<Arrival>;
  /**
   * Break-glass: stops one session and everything it started, without any vendor. Resolves when nothing new starts, or after 10 s with
   * a receipt that says what is missing (`stages`, `residue`); it goes on growing either way.
   */
  stop(order: StopOrder): Promise<Receipt>;
  /** Releases by an authorised person's act. Throws `unknown_stop`, `release_refused`. */
  release(order: ReleaseOrder): Promise<readonly Stop[]>;
  /** Releases the operators' and breakers' pauses of this very session and lets it go on. What else holds it still does; the view says so. */
  resume(session: string, by?: { readonly by: string; readonly reason: string }): Promise<SessionView>;
  /** Settles a call of unknown outcome. The first word stands. */
  resolve(
    session: string,
    call: string,
    verdict: 'happened' | 'did-not',
    options?: { readonly value?: unknown; readonly by?: string; readonly reason?: string },
  ): Promise<void>;
  sessions(): SessionView[];
  session(id: string): SessionView | undefined;
  /**
   * Resolves when the session has ended, across pauses and parks. Rejects with `unknown_session`. Never settles once this runtime is closed: the
   * session goes on when it is opened again, or elsewhere.
   */
  settled(session: string): Promise<Exclude<Outcome, { status: 'paused' }>>;
  stops(): Stop[];
  /**
   * Each as far as it is true: a stop whose sessions have all ended is done once the store and the processes beside this one have
   * said so, which over Redis is some round trips later.
   */
  receipts(): Promise<readonly Receipt[]>;
  /** `kind`: what the subject is, for the instance tier. Default `session`. */
  preview(tier: Tier, subject?: string, kind?: SubjectKind): Preview;
  status(): RuntimeStatus;
  /** Everything told here is told after it is true. Returns the way to stop listening. */
  subscribe(listener: RuntimeListener): () => void;
  /** Asks the source and the store now. */
  refresh(): Promise<void>;
  /**
   * Brings every session to its next boundary and parks it, for a shutdown that loses nothing. Resolves when all rest and are written down,
   * or after `withinMs` (default 10,000) with the roots of those that do not, or of which the store has not taken that they began.
   */
  park(options?: { readonly withinMs?: number }): Promise<readonly string[]>;
  /** Stops governing: what runs is abandoned where it is, exactly as after a crash. Park first to be gentle. */
  close(): Promise<void>;
}

/** Opens the store and the source, reads every switch, takes in what earlier processes left. Rejects on bad configuration only. */
export async function createRuntime<Workflow extends string>(options: RuntimeOptions<Workflow>): Promise<Runtime<Workflow>> {
  const { switches, source } = options;
  const clock = options.clock ?? systemClock;
  const store = options.store ?? folderStore('.offswitch');
  const breakers = (options.breakers ?? {}) as BreakerTable;
  checkBreakers(breakers, switches.workflows);
  const caps = (options.caps ?? {}) as Caps;
  checkCaps(caps, switches.workflows, store.budgets !== undefined);
  for (const field of ['parkAfterMs', 'holdForMs', 'bootstrapMaxAgeMs', 'effectDeadlineMs'] as const) {
    const value = options[field];
    if (value !== undefined && !(Number.isFinite(value) && value >= 0))
      throw new RuntimeError('invalid_option', `${field} must be a number of milliseconds, got ${String(value)}`);
  }
  const pathKeys = options.pathKeys ? checkedPathKeys(options.pathKeys) : pathKeysFromEnv();
  let world: World | undefined;
  const onAlarm = (alarm: Alarm): void => {
    if (world && world.listeners.size > 0) world.emit({ type: 'alarm', ...alarm });
    else if (alarm.isActive) console.error(`offswitch: ${alarm.message}`);
  };
  const audit = auditOf(store, clock, onAlarm);
  // The store tells each thing once, from when it is opened; a source may take its time until there is who acts on it.
  const toldEarly: StoreChange[] = [];
  let hear = (change: StoreChange): void => void toldEarly.push(change);
  const kernel = await Kernel.open({
    switches,
    source,
    store,
    clock,
    bootstrapMaxAgeMs: options.bootstrapMaxAgeMs ?? 3_600_000,
    runsSessions: true,
    onStop: (change) => {
      // What the store holds at the start is no news.
      if (world || !change.isLearned) audit.stop(change);
      if (world) forgiveReleased(world, change);
      world?.stopping.changed(change);
    },
    onLatched: (entry) => world?.stopping.latched(entry),
    onWords: (entry) => world?.stopping.worded(entry),
    onChange: () => world?.reconsider(),
    onStoreChange: (change) => hear(change),
    findRoot: (subject) => world?.graphOf.get(subject)?.root.node.root,
    onAlarm,
  });
  // Before anything is written: listening is what tells other processes that what we write has an owner.
  let handler: ControlHandler | undefined;
  await store.serve?.((method, params) =>
    handler ? handler(method, params) : Promise.reject(new RuntimeError('closed', 'this process is still starting; ask again')),
  );
  const w = new World({
    kernel,
    clock,
    store,
    breakers,
    caps,
    parkAfterMs: options.parkAfterMs ?? 5_000,
    holdForMs: options.holdForMs ?? 30_000,
    effectDeadlineMs: options.effectDeadlineMs ?? 10_000,
    pathKeys,
    audit,
    forensics: options.forensics ?? {},
    brokers: options.brokers ?? {},
  });
  world = w;
  w.takeover.recover(kernel.opening);
  w.leases.learn(kernel.opening.journals);
  const toTakeUp = w.stopping.toTakeUp();
  const written = await readToTakeUp(store, toTakeUp).catch((error) => {
    w.alarm(`the receipts of earlier processes could not be read: ${String(error)}`);
    return new Map<string, Receipt | undefined>(toTakeUp.map(({ id }) => [id, undefined]));
  });
  await w.grants.takeOver();
  w.stopping.takeUp(written);
  w.openReceipts.lookSoon();
  hear = (change) => {
    if (change.lost) w.stopping.lost(change.lost);
    if (change.isSetBack) {
      w.grants.writeAgain();
      w.stopping.writeAgain();
    }
    if (change.resolutions) {
      w.learnResolutions(change.resolutions);
      w.reconsider();
    }
    if (change.claimed) w.takeover.learnClaims(change.claimed);
    if (change.takenOver) w.takeover.lose(change.takenOver);
    if (change.children) w.carrying.hear(change.children);
    if (change.health?.state === 'ok') w.takeover.storeIsBack();
    // Also what this process had lent itself: others may have taken it for dead meanwhile.
    if (change.health?.state === 'ok' || change.isOrphaned) void w.grants.takeOver();
    if (change.isOrphaned) {
      void w.takeover.adoptOrphans();
      w.openReceipts.lookSoon();
    }
  };
  toldEarly.splice(0).forEach(hear);

  const open = (): void => {
    if (w.isClosed) throw new RuntimeError('closed', 'this runtime was closed');
  };

  const runtime: Runtime<Workflow> = {
    switches,
    source,
    store,
    agent<Input, Result>(
      name: string,
      body: (session: Session, input: Input) => Promise<Result>,
      agentOptions: AgentOptions = {},
    ): Agent<Input, Result> {
      open();
      checkId('workflow', name);
      if (w.definitions.has(name))
        throw new RuntimeError(
          'agent_already_registered',
          `the agent ${JSON.stringify(name)} is defined already; names are what a crash leaves behind, so each is one agent's`,
        );
      const { version } = agentOptions;
      const definition = { name, body: body as never, ...(version === undefined ? {} : { version }) };
      w.definitions.set(name, definition);
      w.parking.reconsider();
      if (store.lineage.registersAll) void w.takeover.adoptOrphans();
      const start = (input: Input, runOptions: RunOptions = {}) => {
        open();
        if (runOptions.parent)
          throw new RuntimeError('invalid_option', `${name}.start has no parent in another process: use run`);
        if (around(w)) {
          throw new RuntimeError('invalid_option', `${name}.start inside a session: use turn.spawn, or run()`);
        }
        if (!switches.isWorkflow(name)) throw unknownWorkflow(name, switches.workflows);
        const live = runOutside(() => w.births.root(definition, name, input, runOptions));
        return {
          id: live.id,
          get outcome() {
            return live.outcome as Promise<Outcome<Result>>;
          },
        };
      };
      return {
        name,
        start,
        run: async (input, runOptions = {}) => {
          const session = around(w);
          const { parent } = runOptions;
          if (parent)
            return under(parent, async () => {
              open();
              return runOutside(() => w.carrying.arrive(definition, input, runOptions, parent)) as Promise<Outcome<Result>>;
            });
          if (!session) return start(input, runOptions).outcome;
          return runInside(session, name, input, runOptions) as Promise<Outcome<Result>>;
        },
      };
    },
    async run<Result>(workflow: Workflow, body: (session: Session) => Promise<Result>, runOptions: RunOptions = {}) {
      open();
      if (!switches.isWorkflow(workflow)) throw unknownWorkflow(workflow, switches.workflows);
      const definition = { name: `${workflow}#unnamed`, body: body as never };
      const session = around(w);
      if (session)
        return runInside(session, definition.name, undefined, runOptions, { definition, workflow }) as Promise<Outcome<Result>>;
      const live = runOutside(() => w.births.root(definition, workflow, undefined, runOptions));
      live.graph.definition = definition;
      return live.outcome as Promise<Outcome<Result>>;
    },
    async accept(carrier) {
      open();
      return w.carrying.accept(carrier);
    },
    async stop(order) {
      open();
      return stopSession(w, order);
    },
    async release(order) {
      open();
      return releaseByAct(w, order);
    },
    async resume(session, by) {
      open();
      return resumeSession(w, session, by);
    },
    async resolve(session, call, verdict, resolveOptions = {}) {
      open();
      return resolveCall(w, session, call, verdict, resolveOptions);
    },
    sessions: () => [...w.graphs.values()].flatMap((graph) => [...graph.members()].map((member) => viewOf(w, graph, member))),
    session: (id) => {
      const graph = w.graphOf.get(id);
      const member = graph?.get(id);
      return graph && member ? viewOf(w, graph, member) : undefined;
    },
    settled: (session) => w.ends.of(session),
    stops: () => kernel.stops.inForce(),
    async receipts() {
      // Written first, so that the parts of all processes are joined in one place.
      await w.stopping.writeAll();
      const stored = await store.receipts().catch((error) => {
        w.alarm(`the receipts in the store could not be read: ${String(error)}`);
        return [];
      });
      const ids = new Set(stored.flatMap((one) => [one.id, ...(one.formerly ?? [])]));
      return [...(await w.stopping.current()).filter((one) => !ids.has(one.id)), ...stored];
    },
    preview(tier, subject, kind = 'session') {
      if (tier === 'feature' && !switches.isWorkflow(subject ?? '')) throw unknownWorkflow(subject ?? '', switches.workflows);
      if (tier !== 'global' && tier !== 'feature' && subject === undefined)
        throw new OffswitchError('unknown_switch', `a ${tier} switch needs a subject`);
      return previewOf(unsettled(w), tier, subject, kind);
    },
    status: () => ({
      ...statusOf(kernel, countStates(runtime.sessions()), [...w.definitions.keys()]),
      effectDeadlineMs: w.effectDeadlineMs,
      at: w.clock.now(),
    }),
    subscribe(listener) {
      w.listeners.add(listener);
      return () => void w.listeners.delete(listener);
    },
    async refresh() {
      await kernel.reread();
      await kernel.switchboard.refresh();
      w.reconsider();
    },
    park: (parkOptions = {}) => w.parking.parkAll(parkOptions.withinMs ?? 10_000),
    async close() {
      if (w.isClosed) return;
      await w.close();
      await kernel.close();
    },
  };
  handler = controlHandler(runtime, w);
  w.reconsider();
  return runtime;
}

/** The session whose code is running, from the async context. */
export function currentSession(): Session | undefined {
  const session = currentContext()?.session;
  return session && !session.isOver ? session : undefined;
}
