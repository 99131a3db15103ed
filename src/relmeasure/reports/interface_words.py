"""What a form says besides the wording of the instrument, in English and Spanish.

Spanish avoids the choice between "tú" and "usted", so that it suits students and teachers alike. Words in braces are
filled in, here or in the browser.
"""

from __future__ import annotations

__all__ = ["INTERFACE", "interface_language"]

INTERFACE: dict[str, dict[str, str]] = {
    "en": {
        "about": "This form is about:",
        "opinion": "There are no right or wrong answers. What counts is how you see it.",
        "choose": "Choose one answer to each question. You may leave out any question.",
        "choose_print": "Fill in one circle for each question. You may leave out any question.",
        "names": "Please write no names.",
        "local": "Your answers stay on this device. Nothing is sent over the internet.",
        "class_code": "Class code (optional)",
        "group_code": "Class or group code (optional)",
        "code_hint": "A code you were given, not a name.",
        "number_hint": "A number from {low} to {high}",
        "clear": "Clear answer",
        "clear_label": "Clear answer to question {n}",
        "progress": "{done} of {all} questions answered",
        "finish": "Finished?",
        "finish_hint": "“Next person” keeps the answers on this device and empties the form. “Save answers” writes "
        "everyone’s answers since this page was opened to one file.",
        "next": "Next person",
        "save": "Save answers (CSV file)",
        "print": "Print",
        "count": "Answers kept: {kept}. Not yet saved to a file: {unsaved}.",
        "gaps": "Without an answer: {list}. You can go back and answer, or press the button again to go on.",
        "kept": "Thank you. The answers are kept, and the form is empty for the next person.",
        "nothing": "No question is answered, so nothing was kept.",
        "nothing_to_save": "There are no answers to save yet.",
        "saved": "Saved: {file}, answers of {kept}. The file holds everyone since this page was opened; earlier files "
        "from this page are not needed.",
        "number_wrong": "Question {n} needs a number from {low} to {high}, or no answer.",
        "no_script": "Without JavaScript this page can be printed, but answers cannot be saved.",
        "status_draft": "draft, not field-tested",
        "status_piloted": "piloted",
        "status_field_tested": "field-tested",
        "wording_user": "wording supplied by the user",
    },
    "es": {
        "about": "Este formulario trata de:",
        "opinion": "No hay respuestas correctas ni incorrectas. Lo que cuenta es la opinión propia.",
        "choose": "Una respuesta por pregunta. Se puede dejar sin responder cualquier pregunta.",
        "choose_print": "Un círculo marcado por pregunta. Se puede dejar sin responder cualquier pregunta.",
        "names": "Por favor, sin nombres.",
        "local": "Las respuestas se quedan en este dispositivo. No se envía nada por internet.",
        "class_code": "Código de la clase (opcional)",
        "group_code": "Código de la clase o del grupo (opcional)",
        "code_hint": "Un código dado, no un nombre.",
        "number_hint": "Un número de {low} a {high}",
        "clear": "Borrar respuesta",
        "clear_label": "Borrar respuesta a la pregunta {n}",
        "progress": "{done} de {all} preguntas respondidas",
        "finish": "¿Todo listo?",
        "finish_hint": "«Siguiente persona» conserva las respuestas en este dispositivo y vacía el formulario. "
        "«Guardar respuestas» escribe en un archivo las de todas las personas desde que se abrió esta página.",
        "next": "Siguiente persona",
        "save": "Guardar respuestas (archivo CSV)",
        "print": "Imprimir",
        "count": "Respuestas conservadas: {kept}. Aún no guardadas en un archivo: {unsaved}.",
        "gaps": "Sin respuesta: {list}. Se puede volver y responder, o pulsar el botón otra vez para seguir.",
        "kept": "Gracias. Las respuestas se han conservado y el formulario está vacío para la siguiente persona.",
        "nothing": "No hay ninguna pregunta respondida; no se ha conservado nada.",
        "nothing_to_save": "Todavía no hay respuestas para guardar.",
        "saved": "Guardado: {file}, respuestas de {kept}. El archivo contiene a todas las personas desde que se abrió "
        "esta página; los archivos anteriores de esta página ya no hacen falta.",
        "number_wrong": "La pregunta {n} necesita un número de {low} a {high}, o ninguna respuesta.",
        "no_script": "Sin JavaScript, esta página se puede imprimir, pero no se pueden guardar respuestas.",
        "status_draft": "borrador, sin prueba de campo",
        "status_piloted": "con prueba piloto",
        "status_field_tested": "con prueba de campo",
        "wording_user": "texto aportado por quien lo usa",
    },
}
"""Interface language to the words of the form."""


def interface_language(language: str) -> str:
    """Language of the interface for a form in a language: the same if there is one, else English."""
    root = language.partition("-")[0]
    return root if root in INTERFACE else "en"
