// local.ts: a LaunchDarkly to try things out with, and what a source and a control need to reach it.

import { type LaunchDarklyServer, openLaunchDarklyServer } from './server.ts';

export interface LocalLaunchDarkly {
  readonly server: LaunchDarklyServer;
  /** For `launchDarkly(...)`. */
  readonly source: {
    readonly sdkKey: string;
    readonly baseUri: string;
    readonly streamUri: string;
    readonly eventsUri: string;
  };
  /** For `launchDarklyControl(...)`. */
  readonly control: {
    readonly token: string;
    readonly baseUrl: string;
    readonly project: string;
    readonly environment: string;
  };
  close(): Promise<void>;
}

/** Starts the scripted server in this process, with no flags in it: provision through the control. */
export async function startLocalLaunchDarkly(options: { readonly port?: number } = {}): Promise<LocalLaunchDarkly> {
  const server = await openLaunchDarklyServer({ ...options, heartbeatMs: 1000 });
  const { url, sdkKey, token, project, environment } = server;
  return {
    server,
    source: { sdkKey, baseUri: url, streamUri: url, eventsUri: url },
    control: { token, baseUrl: url, project, environment },
    close: () => server.close(),
  };
}
