//go:build unix

package main

import (
	"bytes"
	"image/color"
	"os"
	"strconv"

	"gonum.org/v1/plot"
	"gonum.org/v1/plot/font"
	"gonum.org/v1/plot/plotter"
	"gonum.org/v1/plot/plotutil"
	"gonum.org/v1/plot/vg"
	"gonum.org/v1/plot/vg/draw"
	"gonum.org/v1/plot/vg/vgsvg"
)

// chart is a plot, as it is kept in results.json.
type chart struct {
	File  string `json:"file"` // without .svg
	Title string `json:"title"`
	X     string `json:"x"`
	Y     string `json:"y"`
	LogX  bool   `json:"logX,omitempty"`
	Lines []line `json:"lines"`
}

type line struct {
	Name   string       `json:"name"`
	Points [][2]float64 `json:"points"`
}

func (l *line) add(x, y float64) { l.Points = append(l.Points, [2]float64{x, y}) }

// draw writes the chart as SVG.
func (c chart) draw(path string) error {
	p, err := c.plot()
	if err != nil {
		return err
	}
	svg := vgsvg.New(6.5*vg.Inch, 3.5*vg.Inch)
	page := draw.New(svg)
	page.SetColor(color.White)
	page.Fill(page.Rectangle.Path())
	p.Draw(draw.Crop(page, vg.Points(8), -vg.Points(16), vg.Points(8), -vg.Points(8)))
	var out bytes.Buffer
	if _, err := svg.WriteTo(&out); err != nil {
		return err
	}
	return os.WriteFile(path, out.Bytes(), 0o644)
}

func (c chart) plot() (*plot.Plot, error) {
	plot.DefaultFont = font.Font{Typeface: "Liberation", Variant: "Sans"}
	p := plot.New()
	p.Title.Text, p.X.Label.Text, p.Y.Label.Text = c.Title, c.X, c.Y
	p.Title.Padding, p.Legend.Top = vg.Points(8), true
	var ticks plot.ConstantTicks // one for each size that was measured
	p.Add(plotter.NewGrid())
	for i, l := range c.Lines {
		xys := make(plotter.XYs, len(l.Points))
		for j, at := range l.Points {
			xys[j].X, xys[j].Y = at[0], at[1]
			ticks = append(ticks, plot.Tick{Value: at[0], Label: strconv.FormatFloat(at[0], 'f', -1, 64)})
		}
		drawn, points, err := plotter.NewLinePoints(xys)
		if err != nil {
			return nil, err
		}
		drawn.Color, drawn.Width = plotutil.Color(i), vg.Points(1.5)
		points.Color, points.Shape = plotutil.Color(i), plotutil.Shape(i)
		p.Add(drawn, points)
		p.Legend.Add(l.Name, drawn, points)
	}
	p.Y.Min, p.Y.Max = 0, p.Y.Max*1.25 // room for the legend
	if c.LogX {
		p.X.Scale, p.X.Tick.Marker = plot.LogScale{}, ticks
	}
	return p, nil
}
