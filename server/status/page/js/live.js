// The live stream of one session: events as they come, again from where it was after a cut.

const SILENT_MS = 12000; // the page server says something every five seconds
const AGAIN_MS = 1000;

export class Live {
  constructor(path, { event, lost, back }) {
    this.path = path;
    this.told = { event, lost, back };
    this.cursor = "";
    this.cut = false;
    this.open();
  }

  open() {
    this.source = new EventSource(`${this.path}/live?after=${encodeURIComponent(this.cursor)}`);
    this.source.onmessage = (message) => {
      this.alive();
      this.cursor = message.lastEventId;
      this.told.event(JSON.parse(message.data));
    };
    this.source.addEventListener("still", () => this.alive());
    this.source.onerror = () => this.lose();
    this.watch();
  }

  alive() {
    if (this.cut) this.told.back();
    this.cut = false;
    this.watch();
  }

  watch() {
    clearTimeout(this.timer);
    this.timer = setTimeout(() => this.lose(), SILENT_MS);
  }

  lose() {
    if (!this.cut) this.told.lost();
    this.cut = true;
    this.source.close();
    clearTimeout(this.timer);
    this.timer = setTimeout(() => this.open(), AGAIN_MS);
  }

  close() {
    clearTimeout(this.timer);
    this.source.close();
  }
}
