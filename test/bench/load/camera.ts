// A camera of the load that records at a steady pace whatever its connection does: what cannot be
// sent waits and is sent first when there is a connection again.
import { randomBytes, randomUUID } from 'node:crypto';
import { parseTopic, upTopic } from '../../../proto/topics.ts';
import { decodeVerdict } from '../../../proto/verdict.ts';
import type { Acked } from './fleet-messages.ts';
import type { Link } from './link.ts';
import { type Media, makeMedia, type Run, segmentHead, streamPayload } from './payload.ts';

export interface CameraDeps {
  readonly deviceId: string;
  readonly epoch: number;
  readonly segmentBytes: number;
  readonly everyMs: number;
  readonly window: number;
  readonly onAck: (acked: Acked) => void;
}

export class Camera {
  readonly #deps: CameraDeps;
  readonly #run: Run;
  readonly #media: Media;
  readonly #waiting: number[] = [];
  readonly #refused = new Set<number>();
  #sequence = 0;
  #inFlight = 0;
  #link: Link | undefined;
  #isStreamStored = false;
  #pace: NodeJS.Timeout | undefined;

  constructor(deps: CameraDeps) {
    this.#deps = deps;
    this.#media = makeMedia(deps.segmentBytes);
    this.#run = {
      streamId: randomBytes(16).toString('hex'),
      bootId: randomUUID(),
      epoch: deps.epoch,
      startAtUs: Date.now() * 1000,
    };
  }

  /** A new connection stands. The first one starts the recording. */
  use(link: Link): void {
    this.#link = link;
    this.#inFlight = 0;
    this.#pace ??= setInterval(() => {
      this.#waiting.push(this.#sequence++);
      this.#fill();
    }, this.#deps.everyMs);
    this.#begin(link).catch(() => link.cut());
  }

  /** The connection is gone. */
  pause(): void {
    this.#link = undefined;
  }

  receive(topic: string, payload: Buffer): void {
    if (parseTopic(topic)?.noun !== 'verdict') return;
    const { target } = decodeVerdict(payload);
    if (target.kind === 'segment') this.#refused.add(target.sequence);
  }

  async #begin(link: Link): Promise<void> {
    const { deviceId } = this.#deps;
    if (!this.#isStreamStored)
      await link.publish(upTopic(deviceId, 'stream'), streamPayload(this.#run));
    this.#isStreamStored = true;
    this.#fill();
  }

  #fill(): void {
    while (this.#link && this.#isStreamStored && this.#inFlight < this.#deps.window) {
      const sequence = this.#waiting.shift();
      if (sequence === undefined) return;
      this.#send(this.#link, sequence);
    }
  }

  #send(link: Link, sequence: number): void {
    const startMs = performance.now();
    const payload = Buffer.concat([
      segmentHead(this.#run, sequence, this.#media),
      this.#media.media,
    ]);
    this.#inFlight += 1;
    link.publish(upTopic(this.#deps.deviceId, 'segment'), payload).then(
      () => {
        const isRefused = this.#refused.delete(sequence);
        this.#deps.onAck({ atMs: Date.now(), latencyMs: performance.now() - startMs, isRefused });
        if (this.#link !== link) return;
        this.#inFlight -= 1;
        this.#fill();
      },
      // Lost with its connection: the oldest goes first again.
      () => {
        this.#waiting.push(sequence);
        this.#waiting.sort((a, b) => a - b);
      },
    );
  }
}
