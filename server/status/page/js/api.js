// Questions to the page server. An answer that is no answer becomes an Error whose text a person can read.

export class Refusal extends Error {
  constructor(status, text) {
    super(text);
    this.status = status;
  }
}

async function answer(response) {
  if (response.ok) return response.json();
  const said = await response.json().catch(() => ({}));
  throw new Refusal(response.status, said.error ?? `The page server said ${response.status}.`);
}

export const ask = (path) => fetch(path).then(answer);
export const send = (path, body) =>
  fetch(path, { method: "POST", headers: { "Content-Type": "application/json" }, body: JSON.stringify(body) }).then(answer);

export const sessionPath = (name) => `/api/sessions/${encodeURIComponent(name)}`;
export const imagePath = (session, stimulus) => `${sessionPath(session.name)}/stimuli/${stimulus}.png?of=${session.about.session_id}`;
