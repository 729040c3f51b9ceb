// Server-sent events, read from a fetch (an EventSource could not send the key).

export interface ServerEvent {
  name: string;
  data: string;
}

/** Splits text into events; keeps what is incomplete for the next piece. */
export class EventParser {
  private rest = "";

  push(piece: string): ServerEvent[] {
    this.rest += piece;
    const events: ServerEvent[] = [];
    let end: number;
    while ((end = this.rest.indexOf("\n\n")) >= 0) {
      const event = parse(this.rest.slice(0, end));
      if (event) events.push(event);
      this.rest = this.rest.slice(end + 2);
    }
    return events;
  }
}

function parse(block: string): ServerEvent | null {
  let name = "message";
  const data: string[] = [];
  for (const line of block.split("\n")) {
    if (line.startsWith("event:")) name = line.slice(6).trim();
    else if (line.startsWith("data:")) data.push(line.slice(line.startsWith("data: ") ? 6 : 5));
  }
  return data.length > 0 ? { name, data: data.join("\n") } : null;
}

export async function* events(response: Response): AsyncGenerator<ServerEvent> {
  if (!response.body) return;
  const reader = response.body.pipeThrough(new TextDecoderStream()).getReader();
  const parser = new EventParser();
  for (;;) {
    const { done, value } = await reader.read();
    if (done) return;
    yield* parser.push(value);
  }
}
