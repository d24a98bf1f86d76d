// ghosts.ts: what `offswitch ghosts` says of a run in which everything has come to rest: there is none (I12).

import { execFile } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import { leftAfter, type Scene } from './scene.ts';

const bin = fileURLToPath(new URL('../bin/offswitch.js', import.meta.resolve('offswitch')));
/** It looks twice, and asks every process. Milliseconds. */
const answeredWithinMs = 30_000;

interface Ghost {
  readonly class: string;
  readonly session: string;
  readonly process?: string;
  readonly why: string;
}

interface Said {
  readonly ghosts: readonly Ghost[];
  /** Late calls only if no clock was set since the stop: here it is known whether one was. */
  readonly uncertain: readonly Ghost[];
  readonly silent: readonly string[];
  readonly problems?: readonly string[];
}

/** Within so long what a process that was killed left half-done is done by another. Milliseconds. */
const doneWithinMs = 20_000;

/** What is left half-done is a ghost until another process has done it (I4); and nothing is one for good. */
export function judgeGhosts(scene: Scene): Promise<readonly string[]> {
  return leftAfter(doneWithinMs, () => found(scene));
}

async function found({ redis, folder, jumped }: Scene): Promise<string[]> {
  const said = await ask(redis?.server.url ?? folder);
  if (typeof said === 'string') return [`I12: offswitch ghosts did not answer: ${said}`];
  const { ghosts, uncertain, silent, problems = [] } = said;
  return [
    ...[...silent, ...problems].map((one) => `I12: offswitch ghosts could not see everything: ${one}`),
    ...[...ghosts, ...uncertain]
      // Whether a call is late is told by the clock of its process, which was set back (docs/architecture.md); I1 is judged by the machine's.
      .filter((one) => one.class !== 'late-call' || jumped.size === 0)
      .map((one) => `I12: ${one.class} ${one.session} at ${one.process ?? 'nobody'}: ${one.why}`),
  ];
}

/** Why there is no answer, in words. */
function ask(state: string): Promise<Said | string> {
  const options = { cwd: fileURLToPath(new URL('.', import.meta.url)), timeout: answeredWithinMs };
  return new Promise((resolve) => {
    execFile(process.execPath, [bin, '--state', state, 'ghosts', '--json'], options, (error, out, trouble) => {
      try {
        const said = JSON.parse(out) as Partial<Said>;
        resolve(said.ghosts && said.uncertain && said.silent ? (said as Said) : out);
      } catch {
        resolve(`${trouble.trim()} ${error?.message ?? ''}`.trim());
      }
    });
  });
}
