// What the server answers. All addresses are relative: the page talks to nobody else.

export interface Summary {
  key: string;
  kind: "scan" | "slide";
  subject: string;
  timepoint: string;
  status: string;
  value: number | null;
  low: number | null;
  high: number | null;
  unit: string;
  digits: number;
  flags: { code: string; sentence: string }[];
  questioned: string[];
  error: string;
  picture: boolean;
  revision: number;
  corrected: boolean;
  mask_sha256: string;
  verdict: "" | "accept" | "reject";
  outdated: boolean;
}

export interface Line {
  reader?: string;
  verdict: string;
  reason: string;
  overruled_flags: string;
  quality: number | null;
  note: string;
  reviewed_at: string;
}

export interface Case extends Summary {
  blind: boolean;
  reader: string;
  previous: string;
  next: string;
  place: number;
  n_cases: number;
  visits: { key: string; timepoint: string }[];
  spleen_ml: number | null;
  corrected_from: number | null;
  corrected_by: string;
  excluded_regions_mm2: number | null;
  input_sha256: string;
  own: Line | null;
  others: Line[] | null;
  reasons: string[];
  overruling: string[];
}

export interface Report {
  report_busy: boolean;
  reports_written: number;
  report_error: string;
}

export interface Worklist extends Report {
  title: string;
  blind: boolean;
  reader: string;
  cases: Summary[];
}

export interface Grid {
  shape: [number, number, number];
  spacing_mm: [number, number, number];
  affine: number[][];
  voxel_ml: number;
  slope: number;
  intercept: number;
  tilt_degrees: number;
  windows: { name: string; level: number; width: number }[];
  revision: number;
  mask_sha256: string;
  input_sha256: string;
}

export class Refused extends Error {
  readonly status: number;

  constructor(status: number, text: string) {
    super(text);
    this.status = status;
  }
}

/** Asks the server; a refusal is thrown with the server's own sentence. */
export async function ask(path: string, options: RequestInit = {}): Promise<Response> {
  let answer: Response;
  try {
    answer = await fetch(path, { credentials: "same-origin", ...options });
  } catch {
    throw new Refused(0, "The server does not answer. Start `fibrovol review` again.");
  }
  if (answer.ok) return answer;
  const text = await answer.text();
  let sentence = text;
  try {
    sentence = (JSON.parse(text) as { error?: string }).error ?? text;
  } catch {
    // a plain sentence
  }
  throw new Refused(answer.status, sentence || `The server answered ${answer.status}.`);
}

export async function get<T>(path: string): Promise<T> {
  return (await (await ask(path)).json()) as T;
}

export async function post<T>(path: string, body: unknown): Promise<T> {
  const answer = await ask(path, { method: "POST", body: JSON.stringify(body) });
  return (await answer.json()) as T;
}

/** The data as it is at this moment, gzipped. */
export async function packed(data: Uint8Array): Promise<Blob> {
  const stream = new Blob([data as BlobPart]).stream();
  return new Response(stream.pipeThrough(new CompressionStream("gzip"))).blob();
}

/** The case that the page's address names. */
export function caseKey(): string {
  return new URLSearchParams(location.search).get("case") ?? "";
}

export function addressOf(one: { key: string; kind: string }): string {
  return `/${one.kind}?case=${encodeURIComponent(one.key)}`;
}

export function path(kind: string, key: string, rest = ""): string {
  return `/api/${kind}/${encodeURIComponent(key)}${rest}`;
}

/** Keeps a stream open: the server does not stop by itself under an open page. */
export function stayAlive(tell: (report: Report) => void): void {
  const stream = new EventSource("/api/alive");
  stream.addEventListener("message", (event) => {
    tell(JSON.parse(event.data as string) as Report);
  });
}
