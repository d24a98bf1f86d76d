// pace.ts: who says how long sending a letter takes: a timer, or a process that watches (the incident does, so that it
// can pull the plug while a letter is on its way).

import { type Delay, type Occasion, sleep } from './tools-time.ts';

/** With a URL, asks it before and after each letter and waits for the answer; all else takes its time by timer. */
export function paceFrom(url: string | undefined): Delay | undefined {
  if (!url) return undefined;
  return async (ms, signal, occasion) => {
    if (occasion?.name !== 'send_letter') return sleep(ms, signal);
    const body: Occasion & { readonly ms: number } = { ...occasion, ms };
    const response = await fetch(url, { method: 'POST', body: JSON.stringify(body), signal: signal ?? null });
    await response.text();
  };
}
