// follow-stream.ts: GrowthBook's event stream, held open: a watchdog for one that fell silent, and a reconnect of our own.
//
// GrowthBook's proxy ends each stream after 60 s and asks clients to stay away for 10; what changed meanwhile is told to nobody.
// So a longer `retry` is ignored, and whoever listens fetches everything on each open.

import { createParser } from 'eventsource-parser';

export interface StreamListener {
  /** The stream is open; what changed before was not told. */
  opened(): void;
  /** The whole payload, as text. */
  payload(text: string): void;
  /** There is a new payload to be fetched. */
  updated(): void;
}

export interface StreamSettings {
  readonly url: string;
  readonly headers: Readonly<Record<string, string>>;
  /** The end of connecting. Milliseconds. */
  readonly connectWithinMs: number;
  readonly heartbeatMs: number;
  readonly reconnectWithinMs: number;
}

/** Longest event that is taken. Characters. GrowthBook's proxy takes payloads of 2 MB. */
const maxEventLength = 64 * 1024 * 1024;
/** The first pause before a reconnect; it doubles with each failure. Milliseconds. */
const firstPauseMs = 100;
/** A stream that lived so long did not fail: it was ended. Milliseconds. */
const soundAfterMs = 5000;

/** Follows it until `close`. Nothing that it meets throws. */
export function followStream(settings: StreamSettings, listener: StreamListener): { close(): Promise<void> } {
  let isClosed = false;
  let failures = 0;
  let retryMs = 0;
  let controller: AbortController | undefined;
  let watchdog: NodeJS.Timeout | undefined;
  let pause: NodeJS.Timeout | undefined;

  const watch = (ms: number): void => {
    clearTimeout(watchdog);
    watchdog = setTimeout(() => controller?.abort(), ms);
  };
  const read = async (body: ReadableStream<Uint8Array>): Promise<void> => {
    const parser = createParser({
      maxBufferSize: maxEventLength,
      onEvent({ event, data }) {
        if (isClosed) return;
        if (event === 'features') listener.payload(data);
        else if (event === 'features-updated') listener.updated();
      },
      onRetry(ms) {
        retryMs = ms <= settings.reconnectWithinMs ? ms : 0;
      },
    });
    const decoder = new TextDecoder();
    for await (const chunk of body) {
      watch(settings.heartbeatMs);
      parser.feed(decoder.decode(chunk, { stream: true }));
    }
  };
  const connect = async (): Promise<void> => {
    controller = new AbortController();
    const startedAt = performance.now();
    watch(settings.connectWithinMs);
    let wasOpen = false;
    try {
      const response = await fetch(settings.url, {
        headers: { accept: 'text/event-stream', 'cache-control': 'no-cache', ...settings.headers },
        signal: controller.signal,
      });
      if (response.ok && response.body && response.headers.get('content-type')?.startsWith('text/event-stream')) {
        wasOpen = true;
        watch(settings.heartbeatMs);
        if (!isClosed) listener.opened();
        await read(response.body);
      } else await response.body?.cancel();
    } catch {
      // Refused, cut, silent or malformed: it is opened anew, and the periodic fetch tells whether the data can be believed.
    }
    clearTimeout(watchdog);
    controller.abort();
    if (isClosed) return;
    failures = wasOpen && performance.now() - startedAt > soundAfterMs ? 0 : failures + 1;
    const wait = Math.min(firstPauseMs * 2 ** Math.max(0, failures - 1), settings.reconnectWithinMs);
    pause = setTimeout(
      () => {
        underWay = connect();
      },
      Math.max(wait * (0.5 + Math.random() / 2), retryMs),
    );
  };
  let underWay = connect();

  return {
    async close() {
      isClosed = true;
      clearTimeout(watchdog);
      clearTimeout(pause);
      controller?.abort();
      await underWay;
    },
  };
}
