' What LibreOffice does in a sandbox: it warms up, waits for one order, opens the document, stores it in another form, says how it went.
' A macro of the profile, because only so a password needs no command line, and what LibreOffice took the file for can be asked.
' No macro of the document runs, no link is followed.
Option Explicit

Sub Main
	Dim work As String, order, document, found As String
	work = Environ("SEKISHO_WORK")
	On Error GoTo Failed
	Warm("swriter") : Warm("scalc") : Warm("simpress")
	Say(work, "ready", "ready")
	Do While Not FileExists(work & "/order")
		Wait 20
	Loop
	order = Lines(work & "/order") ' from, form, filters that may read it, filter to read it with or nothing, filter to write, password, last page or nothing
	document = Load(ConvertToURL(work & "/in." & order(0)), order(3), Text(order(5)))
	If IsNull(document) Then
		Say(work, "said", "it cannot be opened")
		Exit Sub
	End If
	found = Value(document.getArgs(), "FilterName")
	If InStr("|" & order(2) & "|", "|" & found & "|") = 0 Then
		Say(work, "said", "it is something else: " & found)
		Exit Sub
	End If
	Store(document, ConvertToURL(work & "/out/in." & order(1)), order(4), order(6))
	Say(work, "said", "done")
	Exit Sub
Failed:
	Say(work, "said", "error " & Err & ": " & Error$)
End Sub

Sub Warm(kind As String)
	StarDesktop.loadComponentFromURL("private:factory/" & kind, "_blank", 0, Array(Property("Hidden", True))).close(True)
End Sub

Function Load(url As String, filter As String, password As String)
	Dim a(5) As New com.sun.star.beans.PropertyValue
	a(0) = Property("Hidden", True)
	a(1) = Property("MacroExecutionMode", 0) ' NEVER_EXECUTE
	a(2) = Property("UpdateDocMode", 0) ' NO_UPDATE
	a(3) = Property("ReadOnly", True)
	If password <> "" Then a(4) = Property("Password", password)
	If filter <> "" Then a(5) = Property("FilterName", filter)
	Load = StarDesktop.loadComponentFromURL(url, "_blank", 0, a())
End Function

Sub Store(document, url As String, filter As String, last As String)
	Dim kind As String, a(1) As New com.sun.star.beans.PropertyValue, pages(0) As New com.sun.star.beans.PropertyValue
	If filter = "pdf" Or filter = "png" Then
		kind = "draw"
		If document.supportsService("com.sun.star.text.GenericTextDocument") Then kind = "writer"
		If document.supportsService("com.sun.star.sheet.SpreadsheetDocument") Then kind = "calc"
		If document.supportsService("com.sun.star.presentation.PresentationDocument") Then kind = "impress"
		filter = kind & "_" & filter & "_Export"
	End If
	a(0) = Property("FilterName", filter)
	If last <> "" Then
		pages(0) = Property("PageRange", "1-" & last)
		a(1) = Property("FilterData", pages())
	End If
	document.storeToURL(url, a())
End Sub

Function Property(name As String, v)
	Dim p As New com.sun.star.beans.PropertyValue
	p.Name = name
	p.Value = v
	Property = p
End Function

Function Value(properties, name As String) As String
	Dim p
	For Each p In properties
		If p.Name = name Then Value = p.Value
	Next
End Function

' Text undoes what keeps a password whole on its way: four hexadecimal digits a UTF-16 unit.
Function Text(s As String) As String
	Dim i As Integer
	For i = 1 To Len(s) Step 4
		Text = Text & Chr(CLng("&H" & Mid(s, i, 4)))
	Next
End Function

Function Lines(path As String)
	Dim f As Integer, i As Integer, s As String, all(6) As String
	f = FreeFile
	Open path For Input As #f
	For i = 0 To 6
		Line Input #f, s
		all(i) = s
	Next
	Close #f
	Lines = all()
End Function

' Say writes a file under another name first: who waits for it finds it whole.
Sub Say(work As String, name As String, what As String)
	Dim f As Integer
	f = FreeFile
	Open work & "/" & name & ".new" For Output As #f
	Print #f, what
	Close #f
	Name work & "/" & name & ".new" As work & "/" & name
End Sub
