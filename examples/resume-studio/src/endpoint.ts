// endpoint.ts: where the model is: any OpenAI-compatible endpoint named by the environment, else the included one.

import { createOpenAICompatible } from '@ai-sdk/openai-compatible';
import type { LanguageModel } from 'ai';
import { currentSession } from 'offswitch';
import { type ModelServer, modelName, startModelServer, treeHeader } from './model-server.ts';

export interface Endpoint {
  readonly model: Exclude<LanguageModel, string>;
  /** What another process needs in its environment to use the same model. */
  readonly env: Readonly<Record<string, string>>;
  /** For people. */
  readonly description: string;
  close(): Promise<void>;
}

export interface EndpointOptions {
  readonly seed: number;
  readonly speed: number;
  readonly env: Readonly<Record<string, string | undefined>>;
  /** Told of each request as it goes out, with its body, for counting. */
  readonly onRequest?: (body: string) => void;
}

/** `OPENAI_BASE_URL`, `OPENAI_API_KEY`, `OPENAI_MODEL`; with none of the first two, a server of our own on loopback. */
export async function openEndpoint({ seed, speed, env, onRequest }: EndpointOptions): Promise<Endpoint> {
  const key = env.OPENAI_API_KEY;
  const url = env.OPENAI_BASE_URL || (key ? 'https://api.openai.com/v1' : undefined);
  const own: ModelServer | undefined = url === undefined ? await startModelServer({ seed, speed }) : undefined;
  const baseURL = url ?? own!.url;
  const name = env.OPENAI_MODEL || (own || isLoopback(baseURL) ? modelName : 'gpt-5-mini');
  const provider = createOpenAICompatible({
    baseURL,
    name: 'studio',
    includeUsage: true,
    ...(key ? { apiKey: key } : {}),
    fetch: (input, init) => {
      if (onRequest && typeof init?.body === 'string' && init.signal?.aborted !== true) onRequest(init.body);
      return isLoopback(baseURL) ? naming(input, init) : fetch(input, init);
    },
  });
  return {
    model: provider(name),
    env: own ? { OPENAI_BASE_URL: baseURL } : {},
    description: own ? `the included model (seed ${seed}, speed ${speed})` : `${name} at ${baseURL}`,
    close: async () => own?.close(),
  };
}

/** Tells a server on this machine which conversation a request belongs to, so that whoever watches it can count. Nobody else is told. */
const naming: typeof fetch = (input, init) => {
  const session = currentSession();
  if (!session) return fetch(input, init);
  const headers = new Headers(init?.headers);
  headers.set(treeHeader, encodeURIComponent(`${session.conversationId ?? ''} ${session.id}`));
  return fetch(input, { ...init, headers });
};

function isLoopback(url: string): boolean {
  try {
    const { hostname } = new URL(url);
    return hostname === 'localhost' || hostname === '[::1]' || hostname.startsWith('127.');
  } catch {
    return false;
  }
}
