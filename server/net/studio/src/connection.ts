// The websocket to the server. It is opened again by itself when it was lost.
import { Breath } from "./pixels";
import type { FromClient, FromServer, Welcome } from "./protocol";
import { isKnown, key } from "./sign_in";
import { type Chunk, newId, pack, unpack } from "./wire";

export type Link = "connecting" | "open" | "lost" | "signed out" | "refused";

export interface Receiver {
  link(link: Link): void;
  welcome(welcome: Welcome): void;
  receive(message: FromServer | Chunk): Promise<void>;
}

const PROTOCOL: [number, number] = [1, 6];
const LONGEST_WAIT = 8000;
const MANY_BYTES = 4 * 262_144;
const IDENTITY = "layerfusion-identity";

export class Connection {
  private socket: WebSocket | null = null;
  private wait = 250;
  private timer = 0;
  /** What has arrived and is not handled yet. */
  private readonly inbox: { socket: WebSocket; frame: ArrayBuffer }[] = [];
  private working = false;

  constructor(private readonly receiver: Receiver) {}

  open(): void {
    clearTimeout(this.timer);
    if (key() === null) {
      this.receiver.link("signed out");
      return;
    }
    const url = `${location.protocol === "https:" ? "wss" : "ws"}://${location.host}/`;
    const socket = new WebSocket(url, ["layerfusion", `layerfusion.key.${key()}`]);
    this.socket = socket;
    socket.binaryType = "arraybuffer";
    socket.onopen = () => this.hello(socket);
    socket.onmessage = (event: MessageEvent<ArrayBuffer>) => {
      this.inbox.push({ socket, frame: event.data });
      if (!this.working) void this.work();
    };
    socket.onclose = () => {
      if (this.socket === socket) void this.openAgain();
    };
  }

  /** Send a message, and say whether there is a connection. Without one it is lost: everything is asked for anew later. */
  send(message: FromClient): boolean {
    if (this.socket?.readyState !== WebSocket.OPEN) return false;
    this.socket.send(pack(message));
    return true;
  }

  /** Send frames; waits while more than a few of them are on their way. */
  async sendAll(frames: Iterable<Uint8Array<ArrayBuffer>>): Promise<void> {
    const { socket } = this;
    for (const frame of frames) {
      while (socket !== null && socket.bufferedAmount > MANY_BYTES && this.socket === socket) {
        await new Promise((resume) => setTimeout(resume, 20));
      }
      if (socket === null || this.socket !== socket || socket.readyState !== WebSocket.OPEN) return;
      socket.send(frame);
    }
  }

  close(): void {
    clearTimeout(this.timer);
    const socket = this.socket;
    this.socket = null;
    socket?.close();
  }

  private hello(socket: WebSocket): void {
    const identity = localStorage.getItem(IDENTITY) ?? newId();
    localStorage.setItem(IDENTITY, identity);
    socket.send(pack({ type: "hello", protocol: PROTOCOL, client: "studio", version: "1", identity }));
  }

  /** Messages are handled one after the other, also those that take a while; many of them leave the page its turns. */
  private async work(): Promise<void> {
    this.working = true;
    const breath = new Breath();
    for (let next = this.inbox.shift(); next !== undefined; next = this.inbox.shift()) {
      const { socket, frame } = next;
      await this.handle(socket, frame).catch(() => socket.close());
      await breath.take();
    }
    this.working = false;
  }

  private async handle(socket: WebSocket, frame: ArrayBuffer): Promise<void> {
    if (this.socket !== socket) return;
    const message = unpack(frame);
    if (message.type === "welcome") {
      this.wait = 250;
      this.receiver.link("open");
      this.receiver.welcome(message);
      return;
    }
    if (message.type === "refused") {
      if (message.code === "server_stopping") return; // it may be back soon
      await this.receiver.receive(message);
      this.close();
      this.receiver.link("refused");
      return;
    }
    await this.receiver.receive(message);
  }

  private async openAgain(): Promise<void> {
    this.socket = null;
    this.receiver.link("lost");
    if ((await isKnown()) === false) {
      this.receiver.link("signed out");
      return;
    }
    this.timer = window.setTimeout(() => this.open(), this.wait);
    this.wait = Math.min(2 * this.wait, LONGEST_WAIT);
  }
}
