// The shapes of the server's /api, as crates/server/src/app writes them.

export type Role = "user" | "assistant";
export type State = "streaming" | "done" | "stopped" | "failed";

export interface Sampling {
  temperature?: number;
  top_p?: number;
  top_k?: number;
  min_p?: number;
  repetition_penalty?: number;
  max_tokens?: number | null;
  seed?: number | null;
}

/** Which sources a conversation is answered from. */
export type Scope = "none" | "all" | { collections: string[] };

export type Mark = "quoted" | "supported" | "memory" | "disputed";

/** A place in a source: bytes of its text. */
export interface Citation {
  file_id: string;
  filename: string;
  start: number;
  end: number;
  quote: string;
  page?: number;
  date?: string;
  /** Where the source is on the web, if it is. */
  url?: string;
  /** The source does not say so any more, or is not there any more. */
  stale?: "changed" | "gone";
  /** The words stand at another place since: the source was changed, or another one says the same. */
  moved?: "changed" | "elsewhere";
}

export interface Sentence {
  text: string;
  mark: Mark;
  confidence: number;
  citations: Citation[];
  /** No source bears it out any more. */
  stale?: boolean;
}

/** What an answer is made of, and how sure that is. */
export interface Candor {
  outcome: "answered" | "abstained";
  short: string | null;
  confidence: number;
  dial: number | null;
  sentences: Sentence[];
  advice?: string;
  nearest?: Citation[];
  receipt: string | null;
}

export interface Conversation {
  id: string;
  title: string;
  model: string | null;
  system_prompt: string;
  sampling: Sampling;
  sources: Scope;
  /** Answers from sources are in the model's own words. */
  phrase: boolean;
  leaf: string | null;
  archived: boolean;
  created_ms: number;
  updated_ms: number;
}

export interface Usage {
  prompt_tokens?: number;
  cached_tokens?: number;
  completion_tokens?: number;
  finish_reason?: "stop" | "length";
}

export interface Message {
  id: string;
  conversation: string;
  parent: string | null;
  role: Role;
  content: string;
  state: State;
  error: string | null;
  model: string | null;
  model_hash: string | null;
  /** `null` where sources answer: no model draws what they say, also where one puts it into its own words. */
  sampling: Sampling | null;
  usage: Usage | null;
  tokens_per_second: number | null;
  candor: Candor | null;
  turns_left_out: number;
  created_ms: number;
}

export interface Feedback {
  message: string;
  verdict: "up" | "down";
  reason: string;
  text: string;
}

export interface Whole {
  conversation: Conversation;
  messages: Message[];
  feedback: Feedback[];
  running: boolean;
}

export interface Started {
  messages: Message[];
  conversation: Conversation;
}

export interface Hit extends Conversation {
  snippet: string | null;
}

export interface Model {
  id: string;
  context: number | null;
  owned_by: string;
  /** Whether it can hold a conversation; null until it was loaded for the first time. */
  chat: boolean | null;
  /** Whether it answers where none is named. */
  default: boolean;
}

/** The models that may hold a conversation, the likeliest choice first. */
export function conversational(models: Model[]): Model[] {
  const rank = (model: Model) => (model.default ? 0 : model.chat ? 1 : 2);
  return models.filter((model) => model.chat !== false).sort((a, b) => rank(a) - rank(b));
}

export interface Defaults {
  model?: string;
  system_prompt?: string;
  sampling?: Sampling;
  sources?: Scope;
  phrase?: boolean;
  /** The share of given answers that may be wrong; `null` is off. */
  dial?: number | null;
}

export interface Settings {
  defaults?: Defaults;
}

export interface Source {
  id: string;
  name: string;
  title: string | null;
  kind: string;
  origin: string | null;
  date: string | null;
  size: number;
  state: "waiting" | "pending" | "ready" | "failed" | "gone";
  error: string | null;
  notes: string[];
  created_ms: number;
  collections: string[];
}

export interface Shelf {
  sources: Source[];
  total: number;
  /** How many cannot be searched yet. */
  reading: number;
}

export interface Collection {
  id: string;
  name: string;
  files: number;
}

/** A passage in its surroundings. */
export interface Passage {
  id: string;
  name: string;
  title: string | null;
  kind: string;
  origin: string | null;
  date: string | null;
  /** The hash of the file that the text was read from. */
  bytes_sha256: string;
  before: string;
  quote: string;
  after: string;
  from: number;
  to: number;
  size: number;
  page: number | null;
  pages: number;
  headings: string[];
}
