// model-shape.ts: the part of a language model, specification v3 and v4, that governing it needs.
//
// Structural, so that one package serves both majors of `ai` and needs neither at run time.

/** What a user passes in; handed back with its own type. */
export interface LanguageModelLike {
  readonly specificationVersion: string;
  readonly provider: string;
  readonly modelId: string;
  doGenerate(options: never): PromiseLike<unknown>;
  doStream(options: never): PromiseLike<unknown>;
}

export interface CallOptions {
  readonly prompt: readonly PromptMessage[];
  readonly tools?: readonly { readonly name?: string }[];
  readonly toolChoice?: unknown;
  readonly responseFormat?: unknown;
  readonly abortSignal?: AbortSignal;
}

export interface PromptMessage {
  readonly role: string;
  readonly content: string | readonly PromptPart[];
  readonly providerOptions?: unknown;
}

export interface PromptPart {
  readonly type: string;
  readonly text?: string;
  readonly toolCallId?: string;
  readonly data?: unknown;
  readonly output?: unknown;
  readonly originalUrl?: unknown;
}

export interface ReportedUsage {
  readonly inputTokens?: { readonly total?: number | undefined };
  readonly outputTokens?: { readonly total?: number | undefined };
}

export interface GenerateResult {
  readonly usage?: ReportedUsage;
  readonly request?: unknown;
  readonly response?: { readonly body?: unknown };
}

export interface StreamPart {
  readonly type: string;
  readonly id?: string;
  readonly usage?: ReportedUsage;
}

export interface StreamResult {
  readonly stream: ReadableStream<StreamPart>;
  readonly request?: unknown;
  readonly response?: unknown;
}

/** A model as this package calls it. */
export interface CallableModel {
  readonly specificationVersion: string;
  readonly provider: string;
  readonly modelId: string;
  doGenerate(options: CallOptions): PromiseLike<GenerateResult>;
  doStream(options: CallOptions): PromiseLike<StreamResult>;
}
