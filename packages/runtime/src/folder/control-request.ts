// control-request.ts: how the command line reaches the running processes of a state folder.

import { request } from 'node:http';
import { listProcesses, type ProcessEntry } from './processes.ts';

export interface ControlRequestOptions {
  /** How long one process may take to answer. Milliseconds, default 5000: a stop answers at once, so a longer silence is news. */
  readonly timeoutMs?: number;
  /** Ask this process alone. Default: all that run. */
  readonly process?: string;
  /** Ask all but this one: the asker itself. */
  readonly except?: string;
}

/** What one process said. `error.code`: the runtime's own, or `timeout`, `unreachable`, `bad_answer`, `internal`. */
export type ControlAnswer = { readonly process: string; readonly pid: number } & (
  | { readonly result: unknown }
  | { readonly error: { readonly code: string; readonly message: string } }
);

/** Longest answer taken in, bytes. 64 MiB: receipts of a graph of 100,000 sessions. */
const maxAnswerBytes = 67_108_864;

/**
 * Asks every running process of a folder, and returns what each said; none runs: none. Never rejects for what a process did
 * or failed to do, but with `store_failed` where who runs cannot be told. Files of dead processes are removed on the way.
 */
export async function requestControl(
  folder: string,
  method: string,
  params: Readonly<Record<string, unknown>> = {},
  options: ControlRequestOptions = {},
): Promise<readonly ControlAnswer[]> {
  const processes = (await listProcesses(folder)).filter(
    (one) => one.process !== options.except && (options.process === undefined || one.process === options.process),
  );
  const body = JSON.stringify(params);
  return Promise.all(
    processes.map(async (one): Promise<ControlAnswer> => {
      const { process, pid } = one;
      return { process, pid, ...(await ask(one, method, body, options.timeoutMs ?? 5000)) };
    }),
  );
}

type Said = { readonly result: unknown } | { readonly error: { readonly code: string; readonly message: string } };

function ask(to: ProcessEntry, method: string, body: string, timeoutMs: number): Promise<Said> {
  return new Promise((done) => {
    const end = (said: Said): void => {
      clearTimeout(timer);
      done(said);
      sent.destroy();
    };
    const fail = (code: string, message: string): void => end({ error: { code, message } });
    const sent = request({
      socketPath: to.socket,
      path: `/v1/${encodeURIComponent(method)}`,
      method: 'POST',
      agent: false,
      headers: { 'content-type': 'application/json', 'content-length': Buffer.byteLength(body) },
    });
    const timer = setTimeout(
      () => fail('timeout', `process ${to.process} (pid ${to.pid}) did not answer within ${timeoutMs} ms`),
      timeoutMs,
    );
    sent.on('error', (error) => fail('unreachable', `process ${to.process} (pid ${to.pid}): ${error.message}`));
    sent.on('response', (response) => {
      const parts: Buffer[] = [];
      let bytes = 0;
      response.on('error', (error) => fail('unreachable', error.message));
      response.on('data', (part: Buffer) => {
        bytes += part.length;
        if (bytes > maxAnswerBytes) fail('bad_answer', `the answer is longer than ${maxAnswerBytes} bytes`);
        else parts.push(part);
      });
      response.on('end', () => end(readAnswer(Buffer.concat(parts).toString('utf8'))));
    });
    sent.end(body);
  });
}

function readAnswer(text: string): Said {
  try {
    const answer = JSON.parse(text);
    if (answer.ok === true) return { result: answer.result };
    if (answer.ok === false && typeof answer.error?.code === 'string' && typeof answer.error.message === 'string') {
      return { error: { code: answer.error.code, message: answer.error.message } };
    }
  } catch {
    // Told below, with what came instead.
  }
  return { error: { code: 'bad_answer', message: `not an answer of ours: ${JSON.stringify(text.slice(0, 80))}` } };
}
