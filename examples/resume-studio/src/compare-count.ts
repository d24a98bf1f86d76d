// compare-count.ts: counts what a fleet starts, by the depth of the agent that starts it, before and after an instant.

import { depthOf, type Role, readRole, type ToolName } from './planner-roles.ts';

export interface Counts {
  modelCalls: number;
  toolCalls: number;
  letters: number;
}

export interface Tally {
  /** For `CrewOptions.onTool`. */
  readonly onTool: (role: Role, tool: ToolName) => void;
  /** For `EndpointOptions.onRequest`. */
  readonly onRequest: (body: string) => void;
  /** What starts from now on is counted apart. */
  stop(): void;
  /** Model calls so far. */
  readonly modelCalls: number;
  /** What was started after `stop`, at depth 1, 2 and 3. */
  readonly after: readonly [Counts, Counts, Counts];
  /** From `stop` to the last thing that was started after it. Milliseconds; 0 when nothing was. */
  readonly lastAfterMs: number;
}

export function makeTally(): Tally {
  const nothing = (): Counts => ({ modelCalls: 0, toolCalls: 0, letters: 0 });
  const after: readonly [Counts, Counts, Counts] = [nothing(), nothing(), nothing()];
  let stoppedAt: number | undefined;
  let lastAt = 0;
  let modelCalls = 0;
  const late = (role: Role): Counts | undefined => {
    if (stoppedAt === undefined) return undefined;
    lastAt = performance.now();
    return after[depthOf(role) - 1];
  };
  return {
    after,
    get modelCalls() {
      return modelCalls;
    },
    get lastAfterMs() {
      return stoppedAt === undefined || lastAt === 0 ? 0 : lastAt - stoppedAt;
    },
    stop() {
      stoppedAt = performance.now();
    },
    onRequest(body) {
      modelCalls++;
      const role = roleIn(body);
      const counts = role && late(role);
      if (counts) counts.modelCalls++;
    },
    onTool(role, tool) {
      const counts = late(role);
      if (!counts) return;
      counts.toolCalls++;
      if (tool === 'send_letter') counts.letters++;
    },
  };
}

function roleIn(body: string): Role | undefined {
  const { messages } = JSON.parse(body) as { readonly messages: readonly { readonly role: string; readonly content: unknown }[] };
  const system = messages.find(({ role }) => role === 'system')?.content;
  return typeof system === 'string' ? readRole(system) : undefined;
}
