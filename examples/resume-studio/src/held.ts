// held.ts: what holds a session, in one line: which switch or who, and why.

import type { SessionView } from 'offswitch';

/** '' for a session that nothing holds. `command`: how the command is called here, with the options it needs. */
export function heldBy(view: SessionView, command: string): string {
  const [call] = view.unknownCalls;
  if (call) return `${call.name} happened? ${command} resolve ${view.id} ${call.id} --happened | --did-not`;
  const { decision } = view;
  if (decision.action === 'run') return view.state === 'paused' ? 'waits on a sub-agent at rest' : '';
  const who = decision.by === undefined ? '' : ` (${decision.by})`;
  switch (decision.cause) {
    case 'switch':
      return `switch ${decision.tier}: ${decision.reason}${who}`;
    case 'operator':
      return `stopped by hand: ${decision.reason}${who}`;
    case 'breaker':
      return decision.reason;
    case 'unknown':
      return `held: ${decision.reason}`;
  }
}

/** Micro-units of money with four decimals. */
export function money(micros: number): string {
  return `$${(micros / 1_000_000).toFixed(4)}`;
}
