import { ServerInterceptingCall, type ServerInterceptingCallInterface } from '@grpc/grpc-js';

/** A call that tells when it asks for messages, and while answers are not taken. An answer for which there is no room is dropped. */
export class PatientCall extends ServerInterceptingCall {
  readonly #read: (read: () => void) => void;
  readonly #sending: (isSending: boolean) => void;
  readonly #hasRoom: () => boolean;

  constructor(
    call: ServerInterceptingCallInterface,
    responder: ConstructorParameters<typeof ServerInterceptingCall>[1],
    read: (read: () => void) => void,
    sending: (isSending: boolean) => void,
    hasRoom: () => boolean,
  ) {
    super(call, responder);
    this.#read = read;
    this.#sending = sending;
    this.#hasRoom = hasRoom;
  }

  override startRead(): void {
    this.#read(() => super.startRead());
  }

  override sendMessage(message: unknown, sent: () => void): void {
    if (!this.#hasRoom()) return;
    this.#sending(true);
    super.sendMessage(message, () => {
      this.#sending(false);
      sent();
    });
  }
}
