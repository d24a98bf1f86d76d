// fleet-process.ts: the fleet as a process of its own, so that `kill -9` is a real one.

import { type ChildProcess, spawn } from 'node:child_process';
import { fileURLToPath } from 'node:url';

const program = fileURLToPath(new URL('../main.js', import.meta.url));

export interface FleetProcess {
  readonly pid: number;
  /** Everything it has printed. */
  printed(): string;
  /** The exit code, or the signal's name, once it has ended. */
  readonly exit: Promise<number | NodeJS.Signals>;
  ended(): number | NodeJS.Signals | undefined;
  /** Sends the signal and waits for the end. */
  kill(signal: 'SIGKILL' | 'SIGINT'): Promise<number | NodeJS.Signals>;
}

export function startFleetProcess(args: readonly string[], cwd: string, env: Readonly<Record<string, string>>): FleetProcess {
  const child: ChildProcess = spawn(process.execPath, [program, '--plain', ...args], {
    cwd,
    env: { ...ownEnvironment(), ...env },
    stdio: ['ignore', 'pipe', 'pipe'],
  });
  let text = '';
  let end: number | NodeJS.Signals | undefined;
  for (const stream of [child.stdout, child.stderr]) {
    stream?.setEncoding('utf8');
    stream?.on('data', (part: string) => {
      text += part;
    });
  }
  const exit = new Promise<number | NodeJS.Signals>((resolve, reject) => {
    child.once('error', reject);
    child.once('close', (code, signal) => {
      end = code ?? signal ?? -1;
      resolve(end);
    });
  });
  // Nothing may outlive the run, however it ends.
  const last = (): void => void child.kill('SIGKILL');
  process.once('exit', last);
  void exit.then(
    () => process.off('exit', last),
    () => undefined,
  );
  return {
    pid: child.pid ?? -1,
    printed: () => text,
    exit,
    ended: () => end,
    kill(signal) {
      child.kill(signal);
      return exit;
    },
  };
}

/** Without what would reach the outside: nobody’s model, switches or state are touched by an incident that is played. */
export function ownEnvironment(): Record<string, string | undefined> {
  const isOutside = (name: string): boolean => /^(OPENAI|OFFSWITCH|LAUNCHDARKLY|GROWTHBOOK|UNLEASH|REDIS)_/.test(name);
  return Object.fromEntries(Object.entries(process.env).filter(([name]) => !isOutside(name)));
}
