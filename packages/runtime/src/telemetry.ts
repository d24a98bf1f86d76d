// telemetry.ts: spans and events for whoever listens, through the OpenTelemetry API alone. Outside the decision: whatever an
// exporter or processor throws stays here, and where nobody records, nothing is made (I13).
//
// Names: OpenTelemetry's GenAI agent conventions (invoke_agent, execute_tool, chat: Development) and the feature-flag
// event (Release Candidate since semantic conventions 1.35). What is only proposed there is marked so, and kept here in one place.

import type { Stopped } from '@offswitch/core';
import { type Attributes, context, type Span, SpanKind, SpanStatusCode, trace } from '@opentelemetry/api';
import type { Call } from './call.ts';
import type { LiveSession } from './session.ts';

export const names = {
  invokeAgent: 'invoke_agent',
  executeTool: 'execute_tool',
  chat: 'chat',
  operation: 'gen_ai.operation.name',
  agentName: 'gen_ai.agent.name',
  workflowName: 'gen_ai.workflow.name',
  conversationId: 'gen_ai.conversation.id',
  /** Proposed, not in the conventions yet (semantic-conventions-genai, pull request 445). */
  executionId: 'gen_ai.agent.execution.id',
  toolName: 'gen_ai.tool.name',
  toolCallId: 'gen_ai.tool.call.id',
  requestModel: 'gen_ai.request.model',
  inputTokens: 'gen_ai.usage.input_tokens',
  outputTokens: 'gen_ai.usage.output_tokens',
  userId: 'user.id',
  errorType: 'error.type',
  /** Proposed, not in the conventions yet (the same pull request). */
  paused: 'gen_ai.agent.paused',
  resumed: 'gen_ai.agent.resumed',
  pauseReason: 'gen_ai.agent.pause.reason',
  evaluation: 'feature_flag.evaluation',
  flagKey: 'feature_flag.key',
  flagVariant: 'feature_flag.result.variant',
  flagReason: 'feature_flag.result.reason',
  flagContextId: 'feature_flag.context.id',
  flagProvider: 'feature_flag.provider.name',
} as const;

/** `undefined` where nobody records: then no call of this session makes a span either. */
export function startSession(session: LiveSession): Span | undefined {
  return quietly(() => {
    const parent = session.parentCall?.span ?? session.parent?.span;
    const span = trace.getTracer('@offswitch/runtime').startSpan(
      `${names.invokeAgent} ${session.agent}`,
      {
        kind: SpanKind.INTERNAL,
        attributes: {
          [names.operation]: names.invokeAgent,
          [names.agentName]: session.agent,
          [names.workflowName]: session.workflow,
          [names.executionId]: session.id,
          ...(session.conversationId === undefined ? {} : { [names.conversationId]: session.conversationId }),
          ...(session.userId === undefined ? {} : { [names.userId]: session.userId }),
        },
      },
      parent ? trace.setSpan(context.active(), parent) : context.active(),
    );
    return span.isRecording() ? span : undefined;
  });
}

export function endSession(
  span: Span | undefined,
  status: 'completed' | 'failed' | 'paused' | 'terminated',
  detail?: string,
): void {
  if (!span) return;
  quietly(() => {
    if (status !== 'completed') {
      span.setAttribute(names.errorType, status === 'failed' ? 'agent_failed' : `agent_${status}`);
      // A pause is no error; a terminate and a failure are the end of the work.
      if (status !== 'paused')
        span.setStatus({ code: SpanStatusCode.ERROR, ...(detail === undefined ? {} : { message: detail }) });
    }
    span.end();
  });
}

/** One event when a session begins to rest under a stop, with the switch behind it. */
export function notePaused(session: LiveSession, decision: Stopped, key: string | undefined, provider: string): void {
  const { span } = session;
  if (!span) return;
  quietly(() => {
    span.addEvent(names.paused, { [names.pauseReason]: decision.cause, [names.executionId]: session.id });
    if (key === undefined) return;
    span.addEvent(names.evaluation, {
      [names.flagKey]: key,
      [names.flagVariant]: decision.cause === 'unknown' ? 'unknown' : 'engaged',
      [names.flagReason]: decision.cause === 'unknown' ? 'error' : 'targeting_match',
      [names.flagContextId]: session.id,
      [names.flagProvider]: provider,
    });
  });
}

export function noteResumed(session: LiveSession): void {
  quietly(() => session.span?.addEvent(names.resumed, { [names.executionId]: session.id }));
}

export function startCall(call: Call): Span | undefined {
  const parent = call.session.span;
  if (!parent || call.kind === 'spawn') return undefined;
  return quietly(() => {
    const isTool = call.kind === 'tool';
    const attributes: Attributes = isTool
      ? { [names.operation]: names.executeTool, [names.toolName]: call.name, [names.toolCallId]: call.id }
      : { [names.operation]: names.chat, [names.requestModel]: call.name };
    const name = isTool ? names.executeTool : names.chat;
    return trace
      .getTracer('@offswitch/runtime')
      .startSpan(
        `${name} ${call.name}`,
        { kind: isTool ? SpanKind.INTERNAL : SpanKind.CLIENT, attributes },
        trace.setSpan(context.active(), parent),
      );
  });
}

export function noteUsage(
  span: Span,
  usage: { readonly inputTokens?: number; readonly outputTokens?: number } | undefined,
): void {
  quietly(() => {
    if (usage?.inputTokens !== undefined) span.setAttribute(names.inputTokens, usage.inputTokens);
    if (usage?.outputTokens !== undefined) span.setAttribute(names.outputTokens, usage.outputTokens);
  });
}

export function endCall(call: Call): void {
  const { span } = call;
  if (!span) return;
  call.span = undefined;
  quietly(() => {
    if (call.outcome !== 'completed') {
      const stopping = call.session.stopping;
      span.setAttribute(
        names.errorType,
        stopping ? `agent_${stopping.action === 'terminate' ? 'terminated' : 'paused'}` : 'tool_error',
      );
      span.setStatus({ code: SpanStatusCode.ERROR, ...(call.error === undefined ? {} : { message: call.error }) });
    }
    span.end();
  });
}

/** Runs a body with the call's span as the active one, so that spans of the tool's own nest under it. */
export function within<R>(span: Span | undefined, body: () => R): R {
  if (!span) return body();
  let isEntered = false;
  try {
    return context.with(trace.setSpan(context.active(), span), () => {
      isEntered = true;
      return body();
    });
  } catch (error) {
    // A context manager that fails before the body is telemetry's fault, and the body's own error is not.
    if (isEntered) throw error;
    return body();
  }
}

function quietly<R>(act: () => R): R | undefined {
  try {
    return act();
  } catch {
    return undefined;
  }
}
