// A phone in a page: JsSIP is loaded before it. It speaks a tone that glides as those of the other phones do, and
// keeps what it hears. The test steers it by the functions of `phone` and looks at `phone.events`.
"use strict";

const RATE = 8000;

const phone = {
  events: [],
  heard: [],

  // `voice`: two frequencies in Hz. The context has the rate of the telephone, so that every sample is one of it.
  async start({ wss, user, password, voice }) {
    const context = new AudioContext({ sampleRate: RATE });
    await context.resume();
    this.context = context;
    this.mouth = context.createMediaStreamDestination();
    const period = context.createBuffer(1, 2 * RATE, RATE);
    const samples = period.getChannelData(0);
    let phase = 0;
    for (let n = 0; n < samples.length; n += 1) {
      const hz = voice[0] + ((voice[1] - voice[0]) * n) / samples.length;
      phase += (hz * 2 * Math.PI) / RATE;
      samples[n] = (Math.sin(phase) * 9000) / 32768;
    }
    const source = new AudioBufferSourceNode(context, { buffer: period, loop: true });
    this.speech = new GainNode(context);
    source.connect(this.speech).connect(this.mouth);
    source.start();

    this.agent = new JsSIP.UA({
      sockets: [new JsSIP.WebSocketInterface(wss)],
      uri: `sip:${user}@127.0.0.1`,
      password,
      register_expires: 60,
    });
    for (const name of ["registered", "registrationFailed", "disconnected"]) {
      this.agent.on(name, (told) => this.note(name, told));
    }
    this.agent.on("newRTCSession", ({ originator, session }) => {
      this.session = session;
      for (const name of ["progress", "ended", "failed", "getusermediafailed", "peerconnection:setremotedescriptionfailed"]) {
        session.on(name, (told) => this.note(name, told));
      }
      session.on("confirmed", () => {
        this.listen(session.connection);
        this.note("established");
      });
      if (originator === "remote") {
        this.note("incoming");
      }
    });
    this.agent.start();
  },

  note(name, told) {
    this.events.push(name);
    console.log(name, told?.cause ?? "");
  },

  // Keeps the sound of the far end. A remote track is decoded only while an element plays it.
  listen(connection) {
    const stream = new MediaStream(connection.getReceivers().map((receiver) => receiver.track));
    this.element = new Audio();
    this.element.muted = true;
    this.element.srcObject = stream;
    this.element.play();
    this.ear = new MediaStreamAudioSourceNode(this.context, { mediaStream: stream });
    this.recorder = this.context.createScriptProcessor(1024, 1, 1);
    this.recorder.onaudioprocess = ({ inputBuffer }) => {
      for (const sample of inputBuffer.getChannelData(0)) {
        this.heard.push(Math.round(Math.max(-1, Math.min(1, sample)) * 32767));
      }
    };
    this.ear.connect(this.recorder).connect(this.context.destination);
  },

  options() {
    return { mediaStream: this.mouth.stream, pcConfig: { iceServers: [] } };
  },

  call(number) {
    this.agent.call(`sip:${number}@127.0.0.1`, this.options());
  },

  answer() {
    this.session.answer(this.options());
  },

  hangUp() {
    this.session.terminate();
  },

  // `RFC2833`, as JsSIP names RFC 4733, or `INFO`.
  key(key, transportType) {
    const sender = this.session.connection.getSenders()[0].dtmf;
    if (transportType === "RFC2833" && !sender?.canInsertDTMF) {
      throw new Error("no telephone events were agreed on");
    }
    this.session.sendDTMF(key, { duration: 160, interToneGap: 100, transportType });
  },

  // The two tones of a key for 200 ms, in the place of speech.
  tones(low, high) {
    const now = this.context.currentTime;
    this.speech.gain.setValueAtTime(0, now);
    this.speech.gain.setValueAtTime(1, now + 0.5);
    for (const frequency of [low, high]) {
      const tone = new OscillatorNode(this.context, { frequency });
      tone.connect(new GainNode(this.context, { gain: 6000 / 32768 })).connect(this.mouth);
      tone.start(now + 0.1);
      tone.stop(now + 0.3);
    }
  },
};
