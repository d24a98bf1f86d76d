// door.ts: where agents of other processes have sub-agents work for them: `POST /<role>`, on loopback, for whoever carries a path.

import { createServer, type IncomingMessage, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { type Agent, type Arrival, acceptRequest, type Runtime } from 'offswitch';
import { type SubTask, subTaskSchema } from '../planner-roles.ts';
import { bodyOf } from '../request-body.ts';
import type { DoorAnswer } from './delegate.ts';

export interface Door {
  /** Ends in a slash. */
  readonly url: string;
  close(): Promise<void>;
}

/** Bytes of a task. */
const maxTaskBytes = 65_536;

/** `agents`: by role. A request waits for as long as its sub-agent takes, rests included. */
export async function openDoor(runtime: Runtime, agents: ReadonlyMap<string, Agent<SubTask, string>>): Promise<Door> {
  const work = async (request: Request, parent: Arrival): Promise<Response> => {
    const agent = agents.get(new URL(request.url).pathname.slice(1));
    const task = subTaskSchema.safeParse(await request.json().catch(() => undefined));
    if (!agent || !task.success) return Response.json({ code: 'invalid_input' }, { status: agent ? 400 : 404 });
    const outcome = await agent.run(task.data, { parent });
    switch (outcome.status) {
      case 'completed':
        return answer({ status: 'completed', text: outcome.result });
      case 'terminated':
        return answer({ status: 'terminated', text: outcome.notice });
      case 'failed':
        return answer({ status: 'failed', text: String(outcome.error) });
      case 'paused':
        // Only when this process parks: elsewhere a pause is waited for.
        return Response.json({ code: 'closing' }, { status: 503 });
    }
  };
  const handle = acceptRequest((headers) => runtime.accept(headers), work);
  const server = createServer((incoming, outgoing) => {
    outgoing.on('error', () => undefined);
    serve(handle, incoming, outgoing).catch((error: unknown) => {
      process.emitWarning(error instanceof Error ? error : String(error));
      outgoing.destroy();
    });
  });
  // A sub-agent may rest for days.
  server.requestTimeout = 0;
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const { port } = server.address() as AddressInfo;
  return {
    url: `http://127.0.0.1:${port}/`,
    close: () =>
      new Promise((resolve) => {
        server.close(() => resolve());
        server.closeAllConnections();
      }),
  };
}

function answer(body: DoorAnswer): Response {
  return Response.json(body);
}

async function serve(
  handle: (request: Request) => Promise<Response>,
  incoming: IncomingMessage,
  outgoing: ServerResponse,
): Promise<void> {
  const sent = await bodyOf(incoming, maxTaskBytes);
  if (sent === undefined) return void outgoing.writeHead(413).end();
  const headers = Object.entries(incoming.headersDistinct).flatMap(([name, values]) =>
    (values ?? []).map((value): [string, string] => [name, value]),
  );
  const method = incoming.method ?? 'GET';
  const body = method === 'GET' || method === 'HEAD' ? null : new Uint8Array(sent);
  const response = await handle(new Request(new URL(incoming.url ?? '/', 'http://127.0.0.1'), { method, headers, body }));
  outgoing.writeHead(response.status, Object.fromEntries(response.headers)).end(await response.text());
}
