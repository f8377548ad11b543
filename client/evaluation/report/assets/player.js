// One recording at a time, from the utterance's place in it to its end.

const player = {
  audio: document.getElementById("audio"),
  utterance: null,
  problem: "", // why the recording cannot be played
  listeners: new Set(), // called with the utterance, the time in it, and what is wrong if anything

  get playing() {
    return this.utterance !== null && !this.audio.paused;
  },

  /** Seconds from the utterance's start; 0 for one that is not in the player. */
  time(utterance) {
    if (utterance !== this.utterance) return 0;
    return Math.min(Math.max(this.audio.currentTime - utterance.offset, 0), utterance.duration);
  },

  toggle(utterance) {
    if (utterance === this.utterance && this.playing) this.audio.pause();
    else this.play(utterance, this.ended(utterance) ? 0 : this.time(utterance));
  },

  ended(utterance) {
    return this.time(utterance) >= utterance.duration - 0.02;
  },

  play(utterance, at) {
    this.seek(utterance, at);
    this.audio.play().catch(() => {}); // another was chosen, or the event "error" tells what is wrong
  },

  seek(utterance, at) {
    if (utterance !== this.utterance) {
      this.stop();
      this.utterance = utterance;
      this.problem = "";
      this.audio.src = utterance.audio;
    }
    this.audio.currentTime = utterance.offset + at;
    this.tell();
  },

  /** Leave the recording; who listens is told once more. */
  stop() {
    if (this.utterance === null) return;
    this.audio.pause();
    const left = this.utterance;
    this.utterance = null;
    for (const listener of this.listeners) listener(left, null, "");
  },

  tell() {
    if (this.utterance === null) return;
    for (const listener of this.listeners) listener(this.utterance, this.time(this.utterance), this.problem);
  },

  follow() {
    if (!this.playing) return;
    if (this.audio.currentTime >= this.utterance.offset + this.utterance.duration) this.audio.pause();
    this.tell();
    requestAnimationFrame(() => this.follow());
  },
};

player.audio.addEventListener("playing", () => player.follow());
for (const event of ["timeupdate", "pause", "ended", "seeked"]) {
  player.audio.addEventListener(event, () => player.tell());
}
// Animation frames stop in a window that is not seen; the end of the piece must not be missed.
player.audio.addEventListener("timeupdate", () => {
  const { utterance, audio } = player;
  if (utterance && audio.currentTime >= utterance.offset + utterance.duration) audio.pause();
});
player.audio.addEventListener("error", () => {
  player.problem = "cannot be played: the file was moved, or this browser does not support its format";
  player.tell();
});
