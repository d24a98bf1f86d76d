// fleet.ts: one orchestrator per document and workflow, a few awake at once, until all of them have ended.
//
// A tree at rest holds no place, so that a stop of one workflow does not starve the others; but no more trees of a workflow
// are started than may be awake, so that a release does not wake a thousand at once.

import type { Agent, Runtime, Session, SessionView } from 'offswitch';
import type { Advert } from './documents-schema.ts';
import type { Job, JobNote, Plan } from './plan.ts';
import { verdictOn } from './plan.ts';
import { type OrchestratorTask, orchestratorTask, type Workflow } from './planner-roles.ts';
import { takenUp } from './taken-up.ts';

export interface FleetOptions {
  readonly runtime: Runtime<Workflow>;
  readonly jobs: readonly Job[];
  readonly adverts: readonly Advert[];
  readonly plan: Plan;
  /** Orchestrators awake at once. */
  readonly concurrency: number;
  /** The work of one orchestrator, given its session. Resolves with its report. */
  readonly orchestrate: (workflow: Workflow, task: OrchestratorTask, session: Session) => Promise<string>;
  /** Called when a job has ended in this process, after its note was written. */
  readonly onEnd?: (job: Job, session: string, status: JobNote['status']) => void;
}

export interface FleetEnd {
  readonly completed: readonly string[];
  readonly terminated: readonly string[];
  readonly failed: readonly string[];
  /** Started by an earlier process, and their state is gone. */
  readonly lost: readonly string[];
  /** Ended before this process started; they are in the lists above as well. */
  readonly before: number;
}

export interface Fleet {
  /** Trees that an earlier process left, and that go on. */
  readonly resumed: number;
  /** How many jobs have ended. */
  ended(): number;
  /** Resolves when every job has ended. Rejects when a note cannot be written: then nothing is started any more. */
  readonly done: Promise<FleetEnd>;
  /** Starts nothing any more. */
  halt(): void;
}

const restingStates: readonly SessionView['state'][] = ['paused', 'parked'];

/** Registers the agents (what an earlier process left goes on from here) and starts what was never started. */
export async function startFleet({
  runtime,
  jobs,
  adverts,
  plan,
  concurrency,
  orchestrate,
  onEnd,
}: FleetOptions): Promise<Fleet> {
  const agents = new Map<Workflow, Agent<OrchestratorTask, string>>();
  const define = (): void => {
    for (const workflow of runtime.switches.workflows) {
      const agent = runtime.agent(workflow, async (session, task: OrchestratorTask) => {
        const key = session.conversationId ?? `${workflow}/${task.documentId}`;
        const at = new Date().toISOString();
        // Its birth is in the journal before its note is, so that a note without a session means that the state is gone.
        await runtime.store.flush();
        await plan.write(key, { session: session.id, status: 'started', at });
        const report = await orchestrate(workflow, task, session);
        await plan.write(key, { session: session.id, status: 'completed', at: new Date().toISOString(), text: report });
        return report;
      });
      agents.set(workflow, agent);
    }
  };
  const { registersAll } = runtime.store.lineage;
  if (registersAll) {
    define();
    await takenUp(runtime, jobs, plan);
  }
  // Read before the agents are defined: from then on sessions end.
  const roots = runtime.sessions().filter((view) => view.parent === undefined);
  // Asked for at once: a tree that was terminated where it lay is forgotten a moment later.
  const settled = new Map(roots.map((view) => [view.conversation ?? '', { id: view.id, end: runtime.settled(view.id) }]));
  const listed = new Set(settled.keys());
  const receipts = await runtime.receipts();
  const stopped = new Set(
    receipts.flatMap((receipt) => receipt.sessions.filter((one) => one.state === 'stopped').map((one) => one.session)),
  );
  const verdicts = new Map(jobs.map((job) => [job.key, verdictOn(job.key, plan.note(job.key), listed, stopped)]));
  // What an earlier process was asked for and this one was not: it goes on all the same, and is waited for.
  const keys = new Set(jobs.map((job) => job.key));
  const strays = [...settled].filter(([key]) => !keys.has(key));

  const ends = new Map<string, JobNote['status'] | 'lost'>();
  let before = 0;
  let isHalted = false;
  let finish!: (end: FleetEnd) => void;
  let breakDown!: (error: unknown) => void;
  const done = new Promise<FleetEnd>((resolve, reject) => {
    finish = resolve;
    breakDown = (error) => {
      isHalted = true;
      reject(error);
    };
  });
  const listOf = (status: JobNote['status'] | 'lost'): string[] =>
    [...ends].filter(([, one]) => one === status).map(([key]) => key);

  const ended = (key: string, status: JobNote['status'] | 'lost'): void => {
    ends.set(key, status);
    endIfAllHave();
  };
  let straysLeft = strays.length;
  const endIfAllHave = (): void => {
    if (ends.size < jobs.length || straysLeft > 0) return;
    finish({
      completed: listOf('completed'),
      terminated: listOf('terminated'),
      failed: listOf('failed'),
      lost: listOf('lost'),
      before,
    });
  };

  const follow = (job: Job, session: string, end: ReturnType<Runtime['settled']>): void => {
    end
      .then(async (outcome) => {
        if (outcome.status !== 'completed') {
          const text = outcome.status === 'terminated' ? outcome.decision.reason : String(outcome.error);
          await plan.write(job.key, { session, status: outcome.status, at: new Date().toISOString(), text });
        }
        onEnd?.(job, session, outcome.status);
        ended(job.key, outcome.status);
        pump();
      })
      .catch(breakDown);
  };

  if (!registersAll) define();

  const waiting: Job[] = [];
  for (const job of jobs) {
    const verdict = verdicts.get(job.key)!;
    const note = plan.note(job.key);
    switch (verdict) {
      case 'start':
        waiting.push(job);
        break;
      case 'resume':
        follow(job, settled.get(job.key)!.id, settled.get(job.key)!.end);
        break;
      case 'ended':
        before++;
        ended(job.key, note!.status);
        break;
      case 'terminated':
        before++;
        await plan.write(job.key, { ...note!, status: 'terminated', at: new Date().toISOString() });
        ended(job.key, 'terminated');
        break;
      case 'lost':
        before++;
        ended(job.key, 'lost');
        break;
    }
  }

  let isScheduled = false;
  /** Events come in bursts, one for each session of a tree. */
  const pump = (): void => {
    if (isScheduled || isHalted || waiting.length === 0) return;
    isScheduled = true;
    setImmediate(() => {
      isScheduled = false;
      startSome();
    });
  };
  const startSome = (): void => {
    if (isHalted) return;
    const views = runtime.sessions();
    // A tree that nothing holds any more is awake, or will be in a moment.
    const held = new Set(
      views.filter((view) => view.decision.action !== 'run' || view.unknownCalls.length > 0).map((view) => view.root),
    );
    let awake = 0;
    const resting = new Map<string, number>();
    for (const view of views) {
      if (view.parent !== undefined) continue;
      if (restingStates.includes(view.state) && held.has(view.id))
        resting.set(view.workflow, (resting.get(view.workflow) ?? 0) + 1);
      else awake++;
    }
    for (let index = 0; index < waiting.length && awake < concurrency; ) {
      const job = waiting[index]!;
      if ((resting.get(job.workflow) ?? 0) >= concurrency) {
        index++;
        continue;
      }
      waiting.splice(index, 1);
      const task = orchestratorTask(job.document, adverts);
      const { id } = agents.get(job.workflow)!.start(task, { userId: job.document.owner, conversationId: job.key });
      follow(job, id, runtime.settled(id));
      // One that is born paused is counted when it says that it rests, and makes room then.
      awake++;
    }
  };
  runtime.subscribe((event) => {
    if (event.type === 'session' || event.type === 'stop') pump();
  });
  pump();
  for (const [, { end }] of strays) {
    end.then(() => {
      straysLeft--;
      endIfAllHave();
    }, breakDown);
  }
  return {
    resumed: roots.length,
    ended: () => ends.size,
    done,
    halt: () => {
      isHalted = true;
    },
  };
}
