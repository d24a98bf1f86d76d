// planner.ts: the included model's mind: the next reply of a conversation, as a function of the seed and the conversation.

import { fingerprint, knownFrom, type Message } from './planner-conversation.ts';
import { maxReplies, readAssignment } from './planner-roles.ts';
import { type PlannedCall, planFor } from './planner-steps.ts';
import { remark, shorten } from './planner-words.ts';
import { digest } from './seed.ts';

export interface Reply {
  readonly text: string;
  readonly calls: readonly { readonly id: string; readonly tool: string; readonly args: string }[];
  /** Names the conversation replied to; timing and ids are drawn from it. */
  readonly fingerprint: string;
}

/**
 * The next reply. `tools` are the names of the tools on offer: a plan does not call what it was not given.
 * At most `maxReplies` replies in one conversation, the last of them without calls; nothing is tried more than twice.
 */
export function planReply(seed: number, messages: readonly Message[], tools: readonly string[]): Reply {
  const name = fingerprint(seed, messages, tools);
  const system = messages.find(({ role }) => role === 'system')?.text ?? '';
  const user = messages.find(({ role }) => role === 'user')?.text ?? '';
  const assignment = readAssignment(system, user);
  if (assignment === undefined) {
    return { text: `Report: no task of mine. You said: ${shorten(user, 200)}`, calls: [], fingerprint: name };
  }
  const known = knownFrom(messages);
  const plan = planFor(seed, assignment, known);
  const replies = messages.filter(({ role }) => role === 'assistant').length;
  for (const step of replies < maxReplies - 1 ? plan.steps : []) {
    const open = step.filter((call) => !known.succeeded(call.tool, call.where));
    const next = open.filter((call) => tools.includes(call.tool) && known.attempts(call.tool, call.where) < call.tries);
    const lost = open.find((call) => call.isRequired && !next.includes(call));
    if (lost !== undefined) return { text: giveUp(lost), calls: [], fingerprint: name };
    if (next.length > 0) {
      const calls = next.map((call, index) => ({
        id: `call_${digest(name, index).slice(0, 24)}`,
        tool: call.tool,
        args: JSON.stringify({ ...call.where, ...call.content }),
      }));
      return { text: remark(seed, name), calls, fingerprint: name };
    }
  }
  return { text: plan.report, calls: [], fingerprint: name };
}

function giveUp(call: PlannedCall): string {
  return `I could not finish: ${call.tool} failed for ${JSON.stringify(call.where)}.`;
}
