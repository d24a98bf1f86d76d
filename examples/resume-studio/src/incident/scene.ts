// scene.ts: what every step of the incident has in hand: folders, the fleet, its model, the command, and ways to look.

import { spawn } from 'node:child_process';
import { readdirSync } from 'node:fs';
import { createRequire } from 'node:module';
import { dirname, join } from 'node:path';
import { setTimeout as pause } from 'node:timers/promises';
import type { JournalRecord, Receipt, RuntimeStatus, SessionView, Stop } from 'offswitch';
import type { ResumeDocument } from '../documents.ts';
import type { Advert } from '../documents-schema.ts';
import type { StoreName } from '../store.ts';
import { type OutboxLine, readOutbox } from '../tools-files.ts';
import type { Checks } from './checks.ts';
import { type FleetProcess, ownEnvironment, startFleetProcess } from './fleet-process.ts';
import type { IncidentState } from './state.ts';
import type { LoggedRequest, WatchedModel } from './watched-model.ts';

export interface SceneOptions {
  readonly checks: Checks;
  readonly seed: number;
  readonly folder: string;
  readonly documents: readonly ResumeDocument[];
  readonly adverts: readonly Advert[];
  readonly model: WatchedModel;
  readonly postUrl: string;
  /** How the fleet reaches the mail server. */
  readonly mailEnv: Readonly<Record<string, string>>;
  readonly switches: IncidentSwitches;
  readonly state: IncidentState;
  readonly store: StoreName;
  /** How many the fleet runs in. */
  readonly processes: number;
}

/** Where the switches of the incident live, and how they are lost. */
export interface IncidentSwitches {
  /** Of the fleet's process. */
  readonly fleetArgs: readonly string[];
  readonly fleetEnv: Readonly<Record<string, string>>;
  /** What the command needs to flip them. */
  readonly commandEnv: Readonly<Record<string, string>>;
  /** Everything is released now: this is what an older state looks like. */
  remember(): void;
  /** A slip of the hand: the whole instance flag on for everybody, and off again. */
  everybodysInstance(isOn: boolean): Promise<void>;
  /** The fleet is down and something is engaged. */
  losses(): readonly Loss[];
  /** Looks at the fleet that was started under the loss. */
  checkLoss(scene: Scene, loss: Loss): void;
  /** Ends the last loss. */
  heal(): void;
  close(): Promise<void>;
}

/** One way to lose them. */
export interface Loss {
  /** As in "with <what> nothing runs". */
  readonly what: string;
  begin(): void;
}

/** Bound of every wait. Milliseconds. Nothing here takes a twentieth of it on an idle machine; one that does ten things at once takes half. */
const withinMs = 120_000;
/** Documents at first. The rest comes in when it is started again, so that there is work to begin under a stop. */
export const documentsAtFirst = 9;
/** How often is looked. Milliseconds. */
const lookEveryMs = 40;

const command = join(dirname(createRequire(import.meta.url).resolve('offswitch')), '..', 'bin', 'offswitch.js');
const endStates: readonly SessionView['state'][] = ['completed', 'failed', 'terminated'];
export const restStates: readonly SessionView['state'][] = ['paused', 'parked'];

interface Told<T> {
  readonly process: string;
  readonly pid: number;
  readonly result: T;
}

/** A session, and the process that has it. */
export type PlacedSession = SessionView & Pick<Told<unknown>, 'process' | 'pid'>;

export class Scene {
  readonly checks: Checks;
  readonly seed: number;
  readonly folder: string;
  readonly state: IncidentState;
  readonly store: StoreName;
  readonly switches: IncidentSwitches;
  readonly documents: readonly ResumeDocument[];
  readonly adverts: readonly Advert[];
  readonly model: WatchedModel;
  fleet!: FleetProcess;
  readonly processes: number;
  /** One that is halted, by its id in the store: it is not asked. */
  halted: string | undefined;
  private readonly postUrl: string;
  private readonly mailEnv: Readonly<Record<string, string>>;

  constructor(options: SceneOptions) {
    this.checks = options.checks;
    this.seed = options.seed;
    this.folder = options.folder;
    this.state = options.state;
    this.store = options.store;
    this.switches = options.switches;
    this.documents = options.documents;
    this.adverts = options.adverts;
    this.model = options.model;
    this.postUrl = options.postUrl;
    this.mailEnv = options.mailEnv;
    this.processes = options.processes;
  }

  /** Starts the fleet's process over the first so many documents; what the last one left goes on from the folders. */
  startFleet(documents: number = this.documents.length): void {
    const { switches, state } = this;
    const env = {
      OPENAI_BASE_URL: this.model.url,
      STUDIO_PACE_URL: this.postUrl,
      ...this.mailEnv,
      ...switches.fleetEnv,
      ...state.fleetEnv,
    };
    this.fleet = this.spawn(this.folder, documents, env, [...state.fleetArgs, ...switches.fleetArgs]);
  }

  /** A fleet in that folder, with a flag file of its own unless `more` says otherwise, and its state where `more` says. */
  spawn(folder: string, documents: number, env: Readonly<Record<string, string>>, more: readonly string[]): FleetProcess {
    const args = ['--seed', String(this.seed), '--concurrency', '12', '--park-after', '1500'];
    if (this.processes > 1) args.push('--processes', String(this.processes));
    return startFleetProcess([...args, ...more, '--speed', '4', '--documents', String(documents)], folder, env);
  }

  // --- the command ---------------------------------------------------------------------------------------------------

  /** Runs the real `offswitch`, and returns its JSON and its exit code. */
  async offswitch(
    ...args: readonly string[]
  ): Promise<{ readonly code: number; readonly json: Readonly<Record<string, unknown>> }> {
    const child = spawn(process.execPath, [command, '--state', this.state.place, '--json', ...args], {
      env: { ...ownEnvironment(), ...this.switches.commandEnv },
      stdio: ['ignore', 'pipe', 'pipe'],
    });
    let out = '';
    let err = '';
    child.stdout.setEncoding('utf8').on('data', (part: string) => (out += part));
    child.stderr.setEncoding('utf8').on('data', (part: string) => (err += part));
    const code = await new Promise<number>((resolve, reject) => {
      child.once('error', reject);
      child.once('close', (ended) => resolve(ended ?? -1));
    });
    try {
      return { code, json: JSON.parse(out) };
    } catch {
      throw new Error(`offswitch ${args.join(' ')} exited with ${code} and printed no JSON: ${out} ${err}`);
    }
  }

  /** A flip, checked to have been confirmed by the running fleet. */
  async flip(action: 'engage' | 'release', ...target: readonly string[]): Promise<Readonly<Record<string, unknown>>> {
    const why = ['--reason', `incident: ${action} ${target.join(' ')}`, '--by', 'on-call', '--yes'];
    const { code, json } = await this.offswitch(action, ...target, ...why);
    // It waits for some seconds, and where that is not enough says so, and to look again: on a busy machine, or where a process hangs.
    const isSo = code === 0 || (json.confirmed === false && (await this.isTakenIn(action, target)));
    this.checks.check(`offswitch ${action} ${target.join(' ')} is confirmed by the running fleet`, isSo, json);
    return json;
  }

  private isTakenIn(action: 'engage' | 'release', [tier, subject = '']: readonly string[]): Promise<boolean> {
    return this.until(`every process says that it knows of ${action} ${tier} ${subject}`, async () => {
      const held = (await this.statuses()).map(({ stops }) =>
        stops.some((stop) => stop.tier === tier && subjectOf(stop.subject) === subject),
      );
      return held.every((isHeld) => isHeld === (action === 'engage'));
    });
  }

  // --- looking -------------------------------------------------------------------------------------------------------

  /** Looks until it is so. Rejects when it is not in time, or when the fleet ends meanwhile, with what was seen last. */
  async until<T>(what: string, look: () => Promise<T | undefined | false> | T | undefined | false): Promise<T> {
    const deadline = Date.now() + withinMs;
    for (;;) {
      const found = await look();
      if (found !== undefined && found !== false) return found;
      if (this.fleet.ended() !== undefined)
        throw new Error(
          `waiting until ${what}, but the fleet ended (${this.fleet.ended()}):\n${this.fleet.printed().slice(-2_000)}`,
        );
      if (Date.now() > deadline) throw new Error(`not within ${withinMs} ms: ${what}\n${this.fleet.printed().slice(-2_000)}`);
      await pause(lookEveryMs);
    }
  }

  /** What every process says, the first one's word first. */
  private ask<T>(method: string): Promise<readonly Told<T>[]> {
    return this.until('each process of the fleet answers', async () => {
      const answers = await this.state.ask(method, this.halted);
      const told = answers.flatMap((one) => ('result' in one ? [{ ...one, result: one.result as T }] : []));
      const expected = this.processes - (this.halted === undefined ? 0 : 1);
      return told.length >= expected && told.sort((a, b) => Number(b.pid === this.fleet.pid) - Number(a.pid === this.fleet.pid));
    });
  }

  /** Sessions that have not ended. */
  async open(): Promise<readonly PlacedSession[]> {
    const views = new Map<string, PlacedSession>();
    for (const { process, pid, result } of await this.ask<readonly SessionView[]>('sessions'))
      for (const view of result) if (view.state !== 'elsewhere') views.set(view.id, { ...view, process, pid });
    return [...views.values()].filter((view) => !endStates.includes(view.state));
  }

  async statuses(): Promise<readonly RuntimeStatus[]> {
    return (await this.ask<RuntimeStatus>('status')).map(({ result }) => result);
  }

  async receipts(): Promise<readonly Receipt[]> {
    return (await this.ask<readonly Receipt[]>('receipts'))[0]!.result;
  }

  /** The newest receipt of a stop of this tier and subject, once the stage is true. */
  receipt(tier: string, subject: string, stage: 'fenced' | 'done'): Promise<Receipt> {
    return this.until(`the stop of ${tier} ${subject} is ${stage}`, async () => {
      const all = await this.receipts();
      return all.find(({ stop, stages, released }) => {
        return stop.tier === tier && subjectOf(stop.subject) === subject && released === undefined && stages[stage] !== undefined;
      });
    });
  }

  /** Asks the fleet to look at source and store now: whatever would let something go on has its chance. */
  async refresh(): Promise<void> {
    await this.state.ask('refresh', this.halted);
    await this.open();
  }

  /** Waits until the model was asked this often after now, by those who match. */
  async requests(count: number, what: string, matches: (request: LoggedRequest) => boolean): Promise<void> {
    const from = this.model.log.length;
    await this.until(`${count} model calls by ${what}`, () => this.model.log.slice(from).filter(matches).length >= count);
  }

  /** What the fleet's processes have written down so far. */
  journal(): Promise<readonly JournalRecord[]> {
    return this.state.journal();
  }

  outbox(): readonly OutboxLine[] {
    return readOutbox(join(this.folder, 'studio', 'outbox.jsonl'));
  }

  /** Files of the output folder, `<document>/<name>`, sorted; without those that a killed process had not written whole. */
  outputs(): readonly string[] {
    const root = join(this.folder, 'studio', 'output');
    return readdirSync(root, { recursive: true, withFileTypes: true })
      .filter((entry) => entry.isFile() && !entry.name.endsWith('.tmp'))
      .map((entry) => join(entry.parentPath, entry.name).slice(root.length + 1))
      .sort();
  }

  /**
   * Holds every model reply, and with them the fleet, until the returned function is called: on a slow machine it would be done with its
   * work before the next step. `but`: a workflow that goes on.
   */
  standStill(but?: string): () => void {
    return this.model.brake.hold(({ kind, tree = '' }) => kind === 'model' && !(but !== undefined && tree.startsWith(`${but}/`)));
  }
}

function subjectOf({ workflow, userId, sessionId }: Stop['subject']): string {
  return workflow ?? userId ?? sessionId ?? '';
}
