// server.ts: LaunchDarkly as its SDKs and its REST API speak it, in this process, with faults that can be switched on.
//
// For tests and for trying things out. It keeps one project with one environment and evaluates nothing: the SDK does.

import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { type LdFlag, type LdFlagSeed, type LdSegment, sdkFlag } from './model.ts';
import { createRestRoutes, type RestRefusal } from './rest-routes.ts';
import { createSdkRoutes, type LdEvent, type LdFault } from './sdk-routes.ts';
import { createState, type LdSnapshot } from './state.ts';

export interface LaunchDarklyServerOptions {
  /** Default 0: any free port of the loopback interface. */
  readonly port?: number;
  /** Default `sdk-offswitch-test`. */
  readonly sdkKey?: string;
  /** Default `api-offswitch-test`. */
  readonly token?: string;
  /** Default `agents`. */
  readonly project?: string;
  /** Default `production`. */
  readonly environment?: string;
  /** A comment line into every stream this often. Milliseconds, default 100; LaunchDarkly says only "less than 5 minutes". */
  readonly heartbeatMs?: number;
}

export interface LaunchDarklyServer {
  readonly url: string;
  readonly port: number;
  readonly sdkKey: string;
  readonly token: string;
  readonly project: string;
  readonly environment: string;
  /** `METHOD path` of every request, in order. */
  readonly requests: readonly string[];
  /** Requests that it does not know; they were answered 501. A test asserts that there are none. */
  readonly unknown: readonly string[];
  /** What SDKs reported of contexts and evaluations. */
  readonly events: readonly LdEvent[];
  /** Streams open now. */
  readonly streamCount: number;
  flag(key: string): LdFlag | undefined;
  segment(key: string): LdSegment | undefined;
  /** Creates or replaces a flag as by hand in the dashboard. */
  setFlag(seed: LdFlagSeed): LdFlag;
  /** Changes a flag's settings as by hand; raises its version. */
  changeFlag(key: string, change: (flag: LdFlag) => LdFlag): LdFlag;
  removeFlag(key: string): void;
  setSegment(segment: Partial<LdSegment> & { readonly key: string }): LdSegment;
  snapshot(): LdSnapshot;
  /** Goes back (or forth) to what was stored then, versions included. */
  restore(snapshot: LdSnapshot): void;
  /** Puts a flag back as it was, at a version above every one it had. */
  putFlag(flag: LdFlag): LdFlag;
  /** SDKs are served this and nothing else, whatever is stored meanwhile, until it is called with `undefined`. */
  serve(snapshot: LdSnapshot | undefined): void;
  /** SDKs are served this text in place of every flag set, until it is called with `undefined`. */
  serveText(text: string | undefined): void;
  /** Changes do not reach SDKs until the answered function is called, which sends them, the last one first. */
  holdAndReverse(): () => void;
  /** The last message about a flag once more. */
  resend(key: string): void;
  /** Raw text into every open stream: a malformed event, a heartbeat. */
  send(text: string): void;
  dropStreams(): void;
  /** The SDK endpoints misbehave until it is called with `undefined`. */
  fault(fault: LdFault | undefined): void;
  /** The next writes through the REST API are refused. */
  refuse(refusal: RestRefusal, times?: number): void;
  close(): Promise<void>;
}

/** Listens on loopback only. */
export async function openLaunchDarklyServer(options: LaunchDarklyServerOptions = {}): Promise<LaunchDarklyServer> {
  const {
    sdkKey = 'sdk-offswitch-test',
    token = 'api-offswitch-test',
    project = 'agents',
    environment = 'production',
    heartbeatMs = 100,
  } = options;
  const requests: string[] = [];
  const unknown: string[] = [];
  const state = createState((message) => sdk.announce(message));
  const sdk = createSdkRoutes({ sdkKey, heartbeatMs, state: () => state });
  const rest = createRestRoutes({ token, project, environment, state: () => state });

  const server = createServer((request, response) => {
    const chunks: Buffer[] = [];
    request.on('data', (chunk: Buffer) => chunks.push(chunk));
    request.on('error', () => response.destroy());
    request.on('end', () => {
      const url = new URL(request.url ?? '/', 'http://127.0.0.1');
      const line = `${request.method} ${url.pathname}`;
      requests.push(line);
      const body = Buffer.concat(chunks).toString();
      if (sdk.handle(request, response, url.pathname, body) || rest.handle(request, response, url, body)) return;
      unknown.push(line);
      response.writeHead(501).end();
    });
  });
  await new Promise<void>((resolve, reject) => {
    server.once('error', reject);
    server.listen(options.port ?? 0, '127.0.0.1', resolve);
  });
  const { port } = server.address() as AddressInfo;

  return {
    url: `http://127.0.0.1:${port}`,
    port,
    sdkKey,
    token,
    project,
    environment,
    requests,
    unknown,
    get events() {
      return sdk.events;
    },
    get streamCount() {
      return sdk.streamCount;
    },
    flag: (key) => state.flags.get(key),
    segment: (key) => state.segments.get(key),
    setFlag: (seed) => state.seed(seed),
    changeFlag(key, change) {
      const flag = state.flags.get(key);
      if (!flag) throw new Error(`the scripted LaunchDarkly has no flag ${JSON.stringify(key)}`);
      return state.putFlag(change(flag));
    },
    removeFlag: (key) => state.deleteFlag(key),
    setSegment: (segment) =>
      state.putSegment({
        name: segment.key,
        description: '',
        tags: [],
        included: [],
        excluded: [],
        includedContexts: [],
        excludedContexts: [],
        ...segment,
      }),
    putFlag: (flag) => state.putFlag(flag),
    serve: (snapshot) => sdk.serve(snapshot),
    serveText: (text) => sdk.serveText(text),
    holdAndReverse: () => sdk.holdAndReverse(),
    snapshot: () => state.snapshot(),
    restore: (snapshot) => state.restore(snapshot),
    resend(key) {
      const flag = state.flags.get(key);
      if (flag) sdk.announce({ event: 'patch', data: { path: `/flags/${key}`, data: sdkFlag(flag) } });
    },
    send: (text) => sdk.send(text),
    dropStreams: () => sdk.drop(),
    fault: (fault) => sdk.setFault(fault),
    refuse: (refusal, times = 1) => rest.refuse(refusal, times),
    close() {
      sdk.close();
      return new Promise((resolve) => {
        server.close(() => resolve());
        server.closeAllConnections();
      });
    },
  };
}
