// local.ts: a scripted GrowthBook in this process, for a demonstration without an account: what source and control need.

import { type GrowthBookServer, type GrowthBookServerOptions, startGrowthBookServer } from './server.ts';

export interface LocalGrowthBook {
  readonly server: GrowthBookServer;
  /** Options of `growthBook`. */
  readonly source: { readonly apiHost: string; readonly clientKey: string };
  /** Options of `growthBookControl`. */
  readonly control: {
    readonly baseUrl: string;
    readonly token: string;
    readonly environment: string;
    readonly apiHost: string;
    readonly clientKey: string;
  };
  close(): Promise<void>;
}

/** Starts it empty: provision the switches through the control before the source is opened. */
export async function startLocalGrowthBook(options: GrowthBookServerOptions = {}): Promise<LocalGrowthBook> {
  const server = await startGrowthBookServer(options);
  const source = { apiHost: server.url, clientKey: server.clientKey };
  return {
    server,
    source,
    control: { baseUrl: server.url, token: server.token, environment: server.environment, ...source },
    close: () => server.close(),
  };
}
