// A process with agents is killed at random points of stop, park, resume and effect. The oracle is the outside: the outbox,
// one line per effect that happened, and the journals.

import { type ChildProcess, spawn } from 'node:child_process';
import { existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { setTimeout as wait } from 'node:timers/promises';
import { defineKillSwitches, type Order } from '@offswitch/core';
import { flagFileControl } from '@offswitch/flag-file';
import { folderStore, foldJournals, requestControl, type SessionView } from '@offswitch/runtime';
import { describe, expect, test } from 'vitest';

const seed = Number(process.env.OFFSWITCH_SEED ?? Date.now() % 1_000_000);
const allKills = Number(process.env.OFFSWITCH_KILLS ?? 200);
/** At the same time, each in a folder of its own. */
const folders = 2;
const kills = Math.ceil(allKills / folders);
/** Enough work in each that some is under way to the last kill. */
const jobs = 2 * kills;

const switches = defineKillSwitches({
  global: { authorized: ['test'] },
  features: { alpha: { authorized: ['test'] }, beta: { authorized: ['test'] } },
  user: { authorized: ['test'] },
  instance: { authorized: ['test'] },
});

class Crashes {
  private state: number;
  readonly place: string = mkdtempSync(join(tmpdir(), 'ofx-'));
  readonly folder: string = join(this.place, 'state');
  readonly control = flagFileControl(join(this.place, 'switches.flagd.json'));
  readonly ended = new Set<string>();
  readonly killedAt: Record<string, number> = {};
  child: ChildProcess | undefined;
  said: string[] = [];
  private wakers: (() => void)[] = [];
  errors = '';

  constructor(place: number) {
    this.state = seed + place;
  }

  random(): number {
    this.state = (Math.imul(this.state, 1664525) + 1013904223) >>> 0;
    return this.state / 2 ** 32;
  }

  pick<T>(of: readonly T[]): T {
    return of[Math.floor(this.random() * of.length)]!;
  }

  start(): void {
    const program = join(import.meta.dirname, 'crash-agent.mjs');
    const child = spawn(process.execPath, [program, this.place, String(jobs), String(Math.floor(this.random() * 1e9))], {
      stdio: ['ignore', 'pipe', 'pipe'],
    });
    this.child = child;
    this.said = [];
    child.stderr!.on('data', (data) => {
      this.errors = (this.errors + String(data)).slice(-4000);
    });
    createInterface({ input: child.stdout! }).on('line', (line) => {
      this.said.push(line);
      for (const waker of this.wakers.splice(0)) waker();
    });
  }

  /** Waits until a word was said after now, or a while; `false` when it was not. */
  async until(word: string, withinMs: number): Promise<boolean> {
    const from = this.said.length;
    const end = performance.now() + withinMs;
    while (!this.said.slice(from).includes(word)) {
      const left = end - performance.now();
      if (left <= 0 || this.child?.exitCode !== null) return false;
      await Promise.race([new Promise<void>((resolve) => this.wakers.push(resolve)), wait(left)]);
    }
    return true;
  }

  async kill(): Promise<void> {
    const { child } = this;
    if (!child) return;
    const gone = new Promise((resolve) => child.once('close', resolve));
    child.kill('SIGKILL');
    await gone;
    this.child = undefined;
  }

  outbox(): string[] {
    const path = join(this.place, 'outbox');
    return existsSync(path) ? readFileSync(path, 'utf8').split('\n').filter(Boolean) : [];
  }

  async sessions(): Promise<SessionView[]> {
    const answers = await requestControl(this.folder, 'sessions');
    return answers.flatMap((one) => ('result' in one ? (one.result as SessionView[]) : []));
  }

  /** A person looks into the outbox and says what is true of each call that nobody knows. */
  async settleUnknown(): Promise<number> {
    let settled = 0;
    for (const session of await this.sessions()) {
      for (const call of session.unknownCalls) {
        const happened = this.outbox().some((line) => line.endsWith(`\t${call.idempotencyKey}`));
        await requestControl(this.folder, 'resolve', {
          session: session.id,
          call: call.id,
          verdict: happened ? 'happened' : 'did-not',
          by: 'test',
        });
        settled++;
      }
    }
    return settled;
  }

  flip(verb: 'engage' | 'release', order: Pick<Order, 'flag'> & Partial<Order>): Promise<unknown> {
    return this.control[verb]({ reason: 'test', by: 'test', above: 1_000_000, ...order });
  }

  close(): void {
    this.child?.kill('SIGKILL');
    rmSync(this.place, { recursive: true, force: true });
  }
}

describe(`processes killed ${allKills} times (OFFSWITCH_SEED=${seed})`, () => {
  test.concurrent.each(Array.from({ length: folders }, (_, i) => i))(
    'in folder %i: no effect is repeated, no stop lifted, no work lost (I3, I5, I9, I14, S4, S7)',
    async (place) => {
      const crashes = new Crashes(place);
      const repeated = (): string[] => {
        const seen = new Set<string>();
        return crashes.outbox().filter((line) => seen.size === seen.add(line).size);
      };
      try {
        await crashes.control.provision(switches, { apply: true });
        const targets = [{ flag: switches.global }, { flag: switches.feature('alpha') }, { flag: switches.user!, target: 'u-1' }];
        for (let kill = 1; kill <= kills; kill++) {
          crashes.start();
          expect(await crashes.until('up', 20_000), crashes.errors).toBe(true);
          const plot = crashes.pick([
            'effect',
            'turn',
            'stop',
            'paused',
            'parked',
            'release',
            'resume',
            'terminate',
            'under-global',
          ] as const);
          const target = crashes.pick(targets);
          switch (plot) {
            case 'effect':
            case 'turn':
              await crashes.settleUnknown();
              await crashes.until(plot, 150);
              break;
            case 'stop':
            case 'paused':
            case 'parked': {
              const seen = crashes.until(plot, 300);
              await crashes.flip('engage', target);
              await seen;
              break;
            }
            case 'release':
            case 'resume': {
              await crashes.flip('engage', target);
              await crashes.until('parked', 150);
              const seen = crashes.until(plot === 'release' ? 'release' : 'turn', 200);
              await crashes.flip('release', target);
              await seen;
              break;
            }
            case 'terminate': {
              const running = (await crashes.sessions()).filter((one) => one.path.length === 1 && one.state === 'running');
              const victim = running.length > 0 ? crashes.pick(running) : undefined;
              // A few are enough: an ended job is one less to crash.
              if (!victim || crashes.ended.size >= 8) break;
              crashes.ended.add(victim.conversation!);
              writeFileSync(join(crashes.place, `ended-${victim.conversation}`), '');
              const seen = crashes.until(crashes.pick(['recorded', 'fenced', 'stopping', 'terminated']), 100);
              void requestControl(crashes.folder, 'stop', { session: victim.id, reason: 'test', by: 'test' });
              await seen;
              break;
            }
            case 'under-global': {
              await crashes.flip('engage', { flag: switches.global });
              const restsBy = performance.now() + 5_000;
              while ((await crashes.sessions()).some((one) => one.state === 'running' || one.state === 'stopping')) {
                expect(performance.now(), 'everything rests under global').toBeLessThan(restsBy);
                await wait(5);
              }
              const before = crashes.outbox().length;
              await crashes.kill();
              crashes.start();
              expect(await crashes.until('up', 20_000), crashes.errors).toBe(true);
              await crashes.settleUnknown();
              await wait(60);
              expect(crashes.outbox().length, 'nothing happens under global after a crash').toBe(before);
              break;
            }
          }
          await wait(crashes.random() * 3);
          crashes.killedAt[plot] = (crashes.killedAt[plot] ?? 0) + 1;
          await crashes.kill();
          expect(repeated(), `after kill ${kill} (${plot})`).toEqual([]);
          if (crashes.random() < 0.6) for (const one of targets) await crashes.flip('release', one);
        }

        for (const one of targets) await crashes.flip('release', one);
        crashes.start();
        expect(await crashes.until('up', 20_000), crashes.errors).toBe(true);
        const doneBy = performance.now() + 60_000;
        for (;;) {
          await crashes.settleUnknown();
          const left = await crashes.sessions();
          if (left.length === 0) break;
          const shown = JSON.stringify(
            left.slice(0, 3).map((one) => [one.id, one.state, one.decision, one.calls, one.unknownCalls]),
          );
          expect(performance.now(), `every graph that is released finishes; left: ${shown} ${crashes.errors}`).toBeLessThan(
            doneBy,
          );
          await wait(10);
        }
        await crashes.kill();

        expect(repeated()).toEqual([]);
        const words = new Map<string, number>();
        for (const line of crashes.outbox()) words.set(line.split('\t')[0]!, (words.get(line.split('\t')[0]!) ?? 0) + 1);
        for (let i = 0; i < jobs; i++) {
          const name = `c${i}`;
          const expected = ['0', '0.leaf', '1', '1b', '1.leaf', '2', '2.leaf'].map((part) => `${name}.${part}`);
          const counts = expected.map((one) => words.get(one) ?? 0);
          if (crashes.ended.has(name)) expect(Math.max(...counts), `${name}: at most once`).toBeLessThanOrEqual(1);
          else expect(counts, `${name}: each exactly once`).toEqual(expected.map(() => 1));
        }
        // The journals agree: of every call that was begun one end, or the session was terminated under it.
        const store = folderStore(crashes.folder);
        const folded = foldJournals((await store.open()).journals);
        await store.close();
        for (const { saved } of folded.values()) {
          if (saved.settled?.status !== 'completed') continue;
          for (const turn of saved.turns)
            for (const call of turn.calls) expect(call.outcome, `${saved.record.s} ${call.id}`).toBeDefined();
        }
        console.log(
          `${kills} kills, seed ${seed}: ${JSON.stringify(crashes.killedAt)}; ${crashes.outbox().length} effects, ${crashes.ended.size} terminated`,
        );
      } finally {
        crashes.close();
      }
    },
    600_000,
  );
});
